/** What the colours of the points mean: a kind each (folder, cluster), or an amount (a tag, likeness by a part). */
import { api } from '../api/client';
import { messages } from '../state/messages.svelte';
import { place } from '../state/place.svelte';
import { settings } from '../state/settings.svelte';
import { tagging } from '../state/tagging.svelte';
import type { Chart } from './chart.svelte';
import { told } from '../lib/format';
import { sampled } from './labels';
import { kinds, places, ramp } from './palette';

export interface LegendEntry {
  name: string;
  index: number;
  size: number;
}

export class Colouring {
  private amounts = $state.raw<Uint8Array | null>(null);

  constructor(private readonly chart: Chart) {}

  /** Which column of the points is shown, if it is one. */
  readonly kind = $derived.by(() => {
    const { by } = place.current.colour;
    return by === 'folder' || by === 'cluster' ? by : null;
  });

  readonly palette = $derived(this.kind ? kinds() : ramp(settings.shown));

  /** The kinds, the most frequent first. */
  readonly legend = $derived.by((): LegendEntry[] => {
    const { points, about } = this.chart;
    if (!points || !about || !this.kind) return [];
    const names = this.kind === 'folder' ? about.folders : about.clusters;
    const sizes = new Uint32Array(names.length);
    for (const index of points[this.kind]) sizes[index]!++;
    return names.map((name, index) => ({ name, index, size: sizes[index]! })).sort((a, b) => b.size - a.size);
  });

  /** What the map is labelled with: the kinds of the legend, or clusters where colours are amounts; the largest first. */
  readonly named = $derived.by(() => {
    const { points, about } = this.chart;
    if (!points || !about) return [];
    const by = this.kind ?? 'cluster';
    const names = by === 'folder' ? told(about.folders) : about.clusters;
    const all = sampled(points[by], names.length).map((some, index) => ({ name: names[index]!, points: some, size: 0 }));
    for (const kind of points[by]) all[kind]!.size++;
    return all.sort((a, b) => b.size - a.size);
  });

  /** A place in the palette for every point. */
  readonly values = $derived.by(() => {
    const { points } = this.chart;
    if (!points) return new Uint8Array();
    if (!this.kind) return this.amounts?.length === points.n ? this.amounts : new Uint8Array(points.n);
    const ranks: number[] = [];
    this.legend.forEach(({ index }, rank) => (ranks[index] = rank));
    const palette = places(ranks);
    return Uint8Array.from(points[this.kind], (index) => palette[index]!);
  });

  /** The points of a kind. */
  of(index: number): Uint32Array<ArrayBuffer> {
    const column = this.kind && this.chart.points?.[this.kind];
    const all: number[] = [];
    column?.forEach((kind, point) => kind === index && all.push(point));
    return Uint32Array.from(all);
  }

  /** Call inside an effect: asks for the amounts of what is chosen, again after every change of tags. */
  follow(): () => void {
    const { by, value } = place.current.colour;
    const like = place.current.query.like;
    if (by === 'tag') void tagging.changes;
    const asking = new AbortController();
    // What was shown before means something else.
    this.amounts = null;
    if (this.chart.points && value && (by === 'tag' || (by === 'part' && like))) {
      const wanted = by === 'part' ? { by, value, like: like! } : { by, value };
      api.mapColour(wanted, asking.signal).then(
        (bytes) => (this.amounts = bytes),
        (cause: unknown) => messages.fail(cause),
      );
    }
    return () => asking.abort();
  }
}
