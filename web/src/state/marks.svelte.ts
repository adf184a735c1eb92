/** Marked regions of the file in the viewer: what people marked, which the library keeps, and what a detector found. */
import { api } from '../api/client';
import type { Annotation, Detector } from '../api/types';
import type { Aim } from '../lib/aims';
import { plural } from '../lib/format';
import { messages } from './messages.svelte';
import type { Selected } from './viewer.svelte';
import { work } from './work.svelte';

class Marks {
  /** Of the file, by start. */
  kept = $state.raw<Annotation[]>([]);
  detected = $state.raw<Annotation[]>([]);
  detectors = $state.raw<Detector[]>([]);
  /** The label that was given last: the next region often has the same. */
  label = $state('');
  /** What came of the last detection in this file. */
  said = $state('');
  private file = '';

  /** Another file is looked at: the one of a segment. Detections that are known of it are shown at once. */
  async open(id: string, detected: Annotation[] = []): Promise<void> {
    this.file = id;
    this.kept = [];
    this.detected = detected;
    this.said = '';
    try {
      const [of, { detectors }] = await Promise.all([api.fileAnnotations(id), api.detectors()]);
      if (this.file !== id) return;
      this.kept = of.annotations;
      this.detectors = detectors;
    } catch (cause) {
      messages.fail(cause);
    }
  }

  /** Keep a region under a label; an empty one says that it holds nothing that is looked for. */
  async add({ start, end, low, high }: Selected, top: number, label: string): Promise<void> {
    const band = low > 0 || high < top ? { low: Math.round(low), high: Math.round(high) } : {};
    const tidy = (value: number) => Math.round(1000 * value) / 1000;
    try {
      const { annotations } = await api.annotate(this.file, [{ start: tidy(start), end: tidy(end), label, ...band }]);
      this.kept = annotations;
      messages.say(label ? `Marked as “${label}”` : 'Marked as without what is looked for');
    } catch (cause) {
      messages.fail(cause);
    }
  }

  async remove(one: Annotation): Promise<void> {
    if (!one.id) return;
    try {
      await api.removeAnnotations([one.id]);
      this.kept = this.kept.filter(({ id }) => id !== one.id);
    } catch (cause) {
      messages.fail(cause);
    }
  }

  /** Run a detector over the file. */
  async detect(name: string, aim: Aim): Promise<void> {
    const file = this.file;
    this.said = '';
    const job = await work.start(() => api.detect(name, { ids: [file], ...aim }));
    if (!job) return;
    const { events } = await api.detections(job.id);
    if (this.file !== file) return;
    this.detected = events;
    this.said = events.length ? `${name} found ${plural(events.length, 'region')}` : `${name} found nothing here at this threshold`;
    messages.speak(this.said);
  }

  /** A person says whether a detection is right: it becomes an example, and is no longer asked. */
  async judge(one: Annotation, right: boolean, top: number): Promise<void> {
    await this.add({ start: one.start, end: one.end, low: one.low ?? 0, high: one.high ?? Infinity }, top, right ? one.label : '');
    this.detected = this.detected.filter((other) => other !== one);
  }
}

export const marks = new Marks();
