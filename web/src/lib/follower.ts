/**
 * Runs the newest wish: at most one request in flight and at most one a frame.
 *
 * A slider wishes sixty times a second. Cancelling every request as soon as a newer wish comes would show nothing
 * until the hand rests; answering all of them would fall behind. So a request younger than `patience` may land, the
 * newest wish follows it, and one that takes longer is cancelled. An urgent wish (another question) cancels at once.
 */
export class Follower<T> {
  private running: { abort: AbortController; since: number } | null = null;
  private next: { wish: T } | null = null;
  private frame = 0;

  constructor(
    private readonly work: (wish: T, signal: AbortSignal) => Promise<void>,
    private readonly patience = 150,
  ) {}

  want(wish: T, urgent = false): void {
    this.next = { wish };
    if (urgent) this.stop();
    if (!this.frame) this.frame = requestAnimationFrame(() => this.pump());
  }

  private stop(): void {
    this.running?.abort.abort();
    this.running = null;
  }

  private pump(): void {
    this.frame = 0;
    if (!this.next) return;
    if (this.running) {
      if (performance.now() - this.running.since < this.patience) {
        this.frame = requestAnimationFrame(() => this.pump());
        return;
      }
      this.stop();
    }
    const { wish } = this.next;
    this.next = null;
    const mine = { abort: new AbortController(), since: performance.now() };
    this.running = mine;
    void this.work(wish, mine.abort.signal).finally(() => {
      if (this.running === mine) this.running = null;
    });
  }
}
