/** The file that is open in the viewer, what is seen and selected of it, and how it is played. */
import { ApiError, address, api } from '../api/client';
import type { Annotation, FileEntry, Hit } from '../api/types';
import { type Scale, type View, within, zoomed } from '../lib/timeline';
import { connection } from './connection.svelte';
import { marks } from './marks.svelte';
import { messages } from './messages.svelte';
import { player } from './player.svelte';
import { settings } from './settings.svelte';

export interface Selected extends View {
  /** Hertz; infinite where no frequency is the highest. */
  low: number;
  high: number;
}

/** How much around a segment is shown when it is opened, as a share of its length on each side. */
const AROUND = 1;

class Viewer {
  /** Null while it is closed. */
  hit = $state.raw<Hit | null>(null);
  file = $state.raw<FileEntry | null>(null);
  error = $state('');
  view = $state.raw<View>({ start: 0, end: 1 });
  selected = $state.raw<Selected | null>(null);
  playing = $state(false);
  /** Seconds of the file. */
  position = $state(0);
  loop = $state(false);
  speed = $state(1);
  /** Whether the pitch stays as it is at another speed. */
  keepPitch = $state(true);
  scale = $state<Scale>('linear');
  /** Hertz at the top. */
  top = $state(0);
  gain = $state(0);
  private audio = new Audio();
  private frame = 0;

  constructor() {
    // Not before it is played: for browsers that do not play a format, the server makes a file of all of it.
    this.audio.preload = 'none';
    this.audio.addEventListener('ended', () => this.pause());
    this.audio.addEventListener('error', () => {
      if (!this.hit || !this.audio.hasAttribute('src')) return;
      this.pause();
      if (!connection.lost) messages.fail(new Error(`${this.hit.name} cannot be played: is its file still there?`));
    });
  }

  get duration(): number {
    return this.file?.duration ?? this.hit?.duration ?? 0;
  }

  /** @param detected what a detector found in the file, where that is known. */
  async open(hit: Hit, detected: Annotation[] = []): Promise<void> {
    player.stop();
    void marks.open(hit.id, detected);
    this.hit = hit;
    this.file = null;
    this.error = '';
    const length = hit.end - hit.start;
    this.view = hit.is_segment === false ? { start: 0, end: hit.duration } : within(hit.start - AROUND * length, (1 + 2 * AROUND) * length, hit.duration);
    this.selected = null;
    this.position = hit.is_segment === false ? 0 : hit.start;
    this.audio.src = address.fileAudio(hit.id);
    this.audio.currentTime = this.position;
    try {
      const file = await api.file(hit.id);
      if (this.hit !== hit) return;
      this.top ||= file.sample_rate / 2;
      this.top = Math.min(this.top, file.sample_rate / 2);
      this.file = file;
    } catch (cause) {
      if (this.hit === hit) this.error = cause instanceof ApiError ? cause.message : String(cause);
    }
  }

  close(): void {
    this.pause();
    this.audio.removeAttribute('src');
    this.audio.load();
    this.hit = null;
    this.top = 0;
  }

  toggle(): void {
    if (this.playing) this.pause();
    else this.play();
  }

  play(): void {
    const { selected, audio } = this;
    if (selected && (this.position < selected.start || this.position >= selected.end - 0.01)) this.seek(selected.start);
    else if (this.position >= this.duration - 0.01) this.seek(0);
    audio.volume = settings.volume;
    this.tune();
    this.playing = true;
    audio.play().catch((cause: unknown) => {
      this.pause();
      if (cause instanceof DOMException && cause.name === 'NotAllowedError') messages.say('Click once: browsers play sounds only after a click or a key.');
    });
    this.follow();
  }

  pause(): void {
    cancelAnimationFrame(this.frame);
    this.playing = false;
    this.audio.pause();
  }

  seek(seconds: number): void {
    this.position = Math.min(this.duration, Math.max(0, seconds));
    this.audio.currentTime = this.position;
  }

  /** Take over speed and pitch. */
  tune(): void {
    this.audio.playbackRate = this.speed;
    this.audio.preservesPitch = this.keepPitch;
  }

  zoom(factor: number, about = (this.view.start + this.view.end) / 2): void {
    this.view = zoomed(this.view, factor, about, this.duration);
  }

  pan(seconds: number): void {
    this.view = within(this.view.start + seconds, this.view.end - this.view.start, this.duration);
  }

  show({ start, end }: View, margin = 0.25): void {
    const length = end - start;
    this.view = within(start - margin * length, (1 + 2 * margin) * length, this.duration);
  }

  whole(): void {
    this.view = { start: 0, end: this.duration };
  }

  /** Go to a segment or a mark: seen, selected over its frequencies, else over all, and next to be played. */
  goTo(segment: View & { low?: number | null; high?: number | null }): void {
    this.selected = { start: segment.start, end: segment.end, low: segment.low ?? 0, high: segment.high ?? Infinity };
    this.show(segment, 1);
    this.seek(segment.start);
  }

  private follow(): void {
    this.frame = requestAnimationFrame(() => this.follow());
    this.position = this.audio.currentTime;
    const { selected } = this;
    if (!selected || this.position < selected.end) return;
    if (this.loop) this.seek(selected.start);
    else this.pause();
  }
}

export const viewer = new Viewer();
