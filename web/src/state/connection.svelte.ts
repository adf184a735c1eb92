/** Whether the server answers; while it does not, it is asked again until it does. */
import { api, listen } from '../api/client';

const EVERY = 2000;

class Connection {
  lost = $state(false);
  /** How often it came back: what shows answers asks again. */
  returns = $state(0);
  private waiting: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    listen((answered) => {
      if (answered && this.lost) this.returns++;
      this.lost = !answered;
      if (this.lost) this.waiting ??= setTimeout(() => this.again(), EVERY);
    });
  }

  private again(): void {
    this.waiting = undefined;
    void api.library().catch(() => undefined);
  }
}

export const connection = new Connection();
