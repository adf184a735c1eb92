/** A person's own sound on its way to the server: a dropped file, a chosen one, or the microphone. */
import { ApiError, api } from '../api/client';
import type { Upload } from '../api/types';
import { messages } from './messages.svelte';
import { PAGE, place, without } from './place.svelte';

const LONGEST_RECORDING = 30;
const memory = (id: string): string => `upload ${id}`;

class Sending {
  /** Name of what is being read, or empty. */
  name = $state('');
  /** Why the last sound was refused; it says nothing of the question, which stays as it was. */
  error = $state('');
  /** Seconds recorded so far, or null. */
  recording = $state<number | null>(null);
  private abort: AbortController | null = null;
  private recorder: MediaRecorder | null = null;

  async send(file: Blob, name: string): Promise<void> {
    this.abort?.abort();
    const mine = new AbortController();
    this.abort = mine;
    this.name = name;
    this.error = '';
    messages.speak(`Reading ${name}`);
    try {
      const upload = await api.upload(file, name, mine.signal);
      remember(upload);
      place.go({ view: 'search', k: PAGE, query: { ...without(place.current.query), upload: upload.upload } });
    } catch (cause) {
      if (cause instanceof DOMException) return;
      this.error = cause instanceof ApiError ? cause.message : String(cause);
      place.go({ view: 'search' });
      messages.speak(this.error);
    } finally {
      if (this.abort === mine) this.name = '';
    }
  }

  cancel(): void {
    this.abort?.abort();
    this.name = '';
  }

  dismiss(): void {
    this.error = '';
  }

  async record(): Promise<void> {
    if (this.recorder) {
      this.recorder.stop();
      return;
    }
    let stream: MediaStream;
    try {
      // Voice processing would remove exactly what a search for sounds listens to.
      const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
      stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch {
      this.error = 'No microphone: allow this page to use it in the browser’s address bar, or drop a file instead.';
      return;
    }
    this.error = '';
    const recorder = new MediaRecorder(stream);
    const pieces: Blob[] = [];
    const began = performance.now();
    this.recorder = recorder;
    this.recording = 0;
    const clock = setInterval(() => {
      this.recording = (performance.now() - began) / 1000;
      if (this.recording > LONGEST_RECORDING) recorder.stop();
    }, 100);
    recorder.ondataavailable = ({ data }) => pieces.push(data);
    recorder.onstop = () => {
      clearInterval(clock);
      for (const track of stream.getTracks()) track.stop();
      this.recorder = null;
      this.recording = null;
      const suffix = recorder.mimeType.includes('mp4') ? 'm4a' : recorder.mimeType.includes('ogg') ? 'ogg' : 'webm';
      void this.send(new Blob(pieces, { type: recorder.mimeType }), `recording.${suffix}`);
    };
    recorder.start();
  }
}

function remember(upload: Upload): void {
  try {
    sessionStorage.setItem(memory(upload.upload), JSON.stringify(upload));
  } catch {
    // Without storage the waveform of an upload is drawn from its audio after a reload.
  }
}

/** What was said about an upload when it was sent from this tab. */
export function recall(id: string): Upload | null {
  try {
    return JSON.parse(sessionStorage.getItem(memory(id)) ?? 'null') as Upload | null;
  } catch {
    return null;
  }
}

export const sending = new Sending();
