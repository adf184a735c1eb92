/** A long piece of work on the server, watched until it ends. */
import { api } from '../api/client';
import type { Job } from '../api/types';
import { messages } from './messages.svelte';

const EVERY = 500;

export class JobWatch {
  job = $state.raw<Job | null>(null);
  id = '';

  get running(): boolean {
    return this.job?.state === 'running';
  }

  /** @returns whether it ended well. */
  async start(begin: () => Promise<{ job: string }>): Promise<boolean> {
    try {
      this.id = (await begin()).job;
      do {
        this.job = await api.job(this.id);
        if (this.running) await new Promise((resolve) => setTimeout(resolve, EVERY));
      } while (this.running);
    } catch (cause) {
      this.job = null;
      messages.fail(cause);
      return false;
    }
    if (this.job.state === 'failed') messages.fail(new Error(this.job.message));
    return this.job.state === 'done';
  }

  async cancel(): Promise<void> {
    await api.cancel(this.id).catch((cause: unknown) => messages.fail(cause));
  }
}
