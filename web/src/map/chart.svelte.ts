/** The map that is shown: its points, what they mean, and the work of arranging them anew. */
import { untrack } from 'svelte';
import { ApiError, api } from '../api/client';
import type { MapAbout } from '../api/types';
import { parameters, place } from '../state/place.svelte';
import { work } from '../state/work.svelte';
import { type Points, readPoints } from './points';

export class Chart {
  points = $state.raw<Points | null>(null);
  about = $state.raw<MapAbout | null>(null);
  /** There is no map yet. */
  missing = $state(false);
  error = $state('');
  /** When its loading began, for the measure of its first paint. */
  since = $state(performance.now());
  /** The weights that it is arranged by. */
  arranged = $state('');

  /** The weights of the question, as the API spells them. */
  get wanted(): string {
    return parameters(place.current.query).get('weights') ?? '';
  }

  /** The map arranged by these weights, or by even ones where that was never computed. */
  async load(wanted = untrack(() => this.wanted)): Promise<void> {
    this.since = performance.now();
    try {
      const about = await api.mapAbout(wanted);
      if (!about.computed) {
        // Asked first, as a map that is not there is an error for the browser's console.
        if (wanted) return await this.load('');
        this.missing = true;
        this.error = '';
        return;
      }
      const bytes = await api.map(wanted);
      this.arranged = wanted;
      this.about = about;
      this.points = readPoints(bytes);
      this.missing = false;
      this.error = '';
    } catch (cause) {
      this.missing = cause instanceof ApiError && cause.code === 'no_map';
      if (this.missing && wanted) return this.load('');
      if (!this.missing) this.error = (cause as Error).message;
    }
  }

  async compute(): Promise<void> {
    const moved = Object.entries(place.current.query.weights).filter(([, value]) => value !== 1);
    await work.start(() => api.computeMap(Object.fromEntries(moved)));
  }

  /** Ask again which tags there are; the points stay. */
  async retag(): Promise<void> {
    const about = await api.mapAbout(this.arranged).catch(() => null);
    if (about) this.about = about;
  }
}
