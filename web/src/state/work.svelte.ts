/** Work of minutes on the server, which does one piece at a time: begun here or elsewhere, watched until it ends. */
import { api } from '../api/client';
import type { Job } from '../api/types';
import { messages } from './messages.svelte';

const EVERY = 500;

export const WORKING: Record<Job['kind'], string> = {
  index: 'Indexing',
  map: 'Computing the map',
  train: 'Training a detector',
  detect: 'Detecting',
  sample: 'Choosing windows',
  duplicates: 'Comparing files',
};

class Work {
  /** What is being done, or was done last. */
  job = $state.raw<Job | null>(null);
  id = $state('');
  /** How many pieces have ended: what shows their results asks again. */
  ended = $state(0);

  get running(): boolean {
    return this.job?.state === 'running';
  }

  /** What is being done, where it is of this kind. */
  of(kind: Job['kind']): Job | null {
    return this.running && this.job?.kind === kind ? this.job : null;
  }

  /** Whether a piece of this kind was done last, and ended well. */
  last(kind: Job['kind']): boolean {
    return this.job?.kind === kind && this.job.state === 'done';
  }

  /** @returns whether it ended well. */
  async start(begin: () => Promise<{ job: string }>): Promise<boolean> {
    try {
      return (await this.watch((await begin()).job)).state === 'done';
    } catch (cause) {
      messages.fail(cause);
      void this.find();
      return false;
    }
  }

  /** Watch what is being done already: begun in another tab, or before this page was loaded. */
  async find(): Promise<void> {
    if (this.running) return;
    const running = (await api.runningJobs().catch(() => ({ jobs: [] }))).jobs[0];
    if (running) await this.watch(running.id).catch((cause: unknown) => messages.fail(cause));
  }

  async cancel(): Promise<void> {
    await api.cancel(this.id).catch((cause: unknown) => messages.fail(cause));
  }

  private async watch(id: string): Promise<Job> {
    this.id = id;
    try {
      for (;;) {
        const job = await api.job(id);
        this.job = job;
        if (job.state !== 'running') {
          if (job.state === 'failed') messages.fail(new Error(job.message));
          return job;
        }
        await new Promise((resolve) => setTimeout(resolve, EVERY));
      }
    } catch (cause) {
      this.job = null;
      throw cause;
    } finally {
      this.ended++;
    }
  }
}

export const work = new Work();
