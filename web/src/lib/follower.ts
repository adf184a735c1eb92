/**
 * Runs the newest wish, at most one at a time.
 *
 * A slider wishes sixty times a second. Cancelling every request as soon as a newer wish comes would show nothing
 * until the hand rests; answering all of them would fall behind. So a request younger than `patience` may land, the
 * newest wish follows it, and one that takes longer is cancelled. An urgent wish (another question) cancels at once.
 */
export class Follower<T> {
  private running: { abort: AbortController; since: number } | null = null;
  private next: { wish: T } | null = null;
  private patient: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly work: (wish: T, signal: AbortSignal) => Promise<void>,
    private readonly patience = 150,
  ) {}

  want(wish: T, urgent = false): void {
    this.next = { wish };
    if (this.running && !urgent) {
      const left = this.running.since + this.patience - performance.now();
      clearTimeout(this.patient);
      this.patient = setTimeout(() => this.begin(), left);
    } else this.begin();
  }

  /** Give up what is running and what would follow it. */
  cancel(): void {
    clearTimeout(this.patient);
    this.next = null;
    this.running?.abort.abort();
    this.running = null;
  }

  private begin(): void {
    clearTimeout(this.patient);
    if (!this.next) return;
    this.running?.abort.abort();
    const { wish } = this.next;
    this.next = null;
    const mine = { abort: new AbortController(), since: performance.now() };
    this.running = mine;
    void this.work(wish, mine.abort.signal).finally(() => {
      if (this.running !== mine) return;
      this.running = null;
      this.begin();
    });
  }
}
