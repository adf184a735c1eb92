/** Toasts, and the sentence that the live region reads out. */

export interface Toast {
  key: number;
  text: string;
  kind: 'said' | 'failed';
  action?: { label: string; run: () => void };
}

class Messages {
  toasts = $state.raw<Toast[]>([]);
  spoken = $state('');
  private keys = 0;
  private speaking: ReturnType<typeof setTimeout> | undefined;

  /** For screen readers only; waits a moment so that a moving slider does not talk all the time. */
  speak(text: string): void {
    clearTimeout(this.speaking);
    this.speaking = setTimeout(() => (this.spoken = text), 400);
  }

  /** @returns the key to dismiss it by. */
  say(text: string, action?: Toast['action']): number {
    this.add({ key: ++this.keys, text, kind: 'said', ...(action && { action }) }, action ? 12_000 : 4_000);
    return this.keys;
  }

  fail(cause: unknown): void {
    if (cause instanceof DOMException && cause.name === 'AbortError') return;
    this.add({ key: ++this.keys, text: cause instanceof Error ? cause.message : String(cause), kind: 'failed' }, 8_000);
  }

  dismiss(key: number): void {
    this.toasts = this.toasts.filter((toast) => toast.key !== key);
  }

  private add(toast: Toast, milliseconds: number): void {
    // What is said again takes the place of what was said before.
    this.toasts = [...this.toasts.filter(({ text }) => text !== toast.text).slice(-2), toast];
    this.speak(toast.text);
    setTimeout(() => this.dismiss(toast.key), milliseconds);
  }
}

export const messages = new Messages();
