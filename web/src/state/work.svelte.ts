/** Work of minutes on the server, which does one piece at a time: begun here or elsewhere, watched until it ends. */
import { ApiError, api } from '../api/client';
import type { Job, KnownJob } from '../api/types';
import { messages } from './messages.svelte';

const EVERY = 500;
/** So often a view that begins work asks whether somebody else has begun some. */
const ELSEWHERE = 4000;

export const WORKING: Record<Job['kind'], string> = {
  index: 'Indexing',
  map: 'Computing the map',
  train: 'Training a detector',
  detect: 'Detecting',
  sample: 'Choosing windows',
  duplicates: 'Comparing files',
};

class Work {
  /** The last piece of each kind that the server remembers, the newest first. */
  private known = $state.raw<KnownJob[]>([]);
  /** How many pieces have ended: what shows their results asks again. */
  ended = $state(0);
  private watched = '';

  /** What is being done. */
  get running(): KnownJob | null {
    return this.known.find(({ state }) => state === 'running') ?? null;
  }

  /** Why nothing else can begin now; empty where it can. */
  get busy(): string {
    return this.running ? `${WORKING[this.running.kind]} goes on: one long piece of work at a time` : '';
  }

  /** What is being done, where it is of this kind. */
  of(kind: Job['kind']): KnownJob | null {
    return this.running?.kind === kind ? this.running : null;
  }

  /** The piece of this kind that ended last, well or not: begun here, in another tab, or before a reload. */
  last(kind: Job['kind']): KnownJob | null {
    return this.known.find((job) => job.kind === kind && job.state !== 'running') ?? null;
  }

  /** @returns the piece where it ended well. */
  async start(begin: () => Promise<{ job: string }>): Promise<KnownJob | null> {
    try {
      const job = await this.watch((await begin()).job);
      if (job.state === 'failed') messages.fail(new Error(job.message));
      return job.state === 'done' ? job : null;
    } catch (cause) {
      void this.find();
      // What goes on is shown instead, with a way to cancel it.
      if (!(cause instanceof ApiError && cause.code === 'job_running')) messages.fail(cause);
      return null;
    }
  }

  /** Ask what was done and is being done, and watch that: begun in another tab, or before this page was loaded. */
  async find(): Promise<void> {
    const found = (await api.jobs().catch(() => null))?.jobs;
    if (!found) return;
    const ended = found.some(({ id, state }) => state !== 'running' && !this.known.some((old) => old.id === id && old.state === state));
    this.known = found;
    if (ended) this.ended++;
    if (this.running) await this.watch(this.running.id).catch((cause: unknown) => messages.fail(cause));
  }

  /** Find work that others begin, while a view is shown; for an effect. */
  follow(): () => void {
    const find = () => void (document.visibilityState === 'visible' && !this.running && this.find());
    const timer = setInterval(find, ELSEWHERE);
    document.addEventListener('visibilitychange', find);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', find);
    };
  }

  async cancel(): Promise<void> {
    if (this.running) await api.cancel(this.running.id).catch((cause: unknown) => messages.fail(cause));
  }

  private async watch(id: string): Promise<KnownJob> {
    if (this.watched === id) return this.known[0]!;
    this.watched = id;
    try {
      for (;;) {
        const job = { id, ...(await api.job(id)) };
        this.known = [job, ...this.known.filter(({ kind }) => kind !== job.kind)];
        if (job.state !== 'running') return job;
        await new Promise((resolve) => setTimeout(resolve, EVERY));
      }
    } catch (cause) {
      this.known = this.known.filter((job) => job.id !== id);
      throw cause;
    } finally {
      this.watched = '';
      this.ended++;
    }
  }
}

export const work = new Work();
