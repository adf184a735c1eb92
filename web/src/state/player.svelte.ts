/** One voice: whatever plays stops what played before. */
import { address } from '../api/client';
import type { Hit } from '../api/types';
import { levelOf, matched } from '../lib/loudness';
import { connection } from './connection.svelte';
import { messages } from './messages.svelte';
import { settings } from './settings.svelte';

/** Resting on a card this long starts it, so that crossing the page stays silent. */
const HOVER = 90;

class Player {
  sound = $state.raw<Hit | null>(null);
  playing = $state(false);
  /** The query is played in place of the sound that it is compared with. */
  comparing = $state(false);
  /** Part of the sound that was played, 0 to 1. */
  progress = $state(0);
  /** By what the sound that plays is multiplied, so that it is as loud as the one that it is compared with. */
  gain = $state(1);
  /** The query that the sound was compared with last. */
  private query = '';
  private audio = new Audio();
  private frame = 0;
  private hovering: ReturnType<typeof setTimeout> | undefined;
  private hovered = false;

  constructor() {
    this.audio.preload = 'auto';
    this.audio.addEventListener('ended', () => this.stop());
    this.audio.addEventListener('error', () => {
      if (!this.playing) return;
      this.stop();
      // A server that does not answer has a message of its own.
      if (!connection.lost) messages.fail(new Error(`${this.sound?.name ?? 'The sound'} cannot be played: is its file still there?`));
    });
  }

  isPlaying(id: string): boolean {
    return this.playing && this.sound?.id === id;
  }

  toggle(sound: Hit): void {
    clearTimeout(this.hovering);
    if (this.isPlaying(sound.id) && !this.hovered) this.stop();
    else if (this.isPlaying(sound.id)) this.hovered = false;
    else this.play(sound);
  }

  play(sound: Hit): void {
    if (this.sound?.id !== sound.id || this.comparing || !this.audio.src) this.audio.src = source(sound);
    this.comparing = false;
    this.query = '';
    this.setGain(1);
    this.audio.currentTime = 0;
    this.sound = sound;
    this.playing = true;
    this.hovered = false;
    this.progress = 0;
    this.begin();
  }

  /** Play the query where the sound is now, and the sound again: as engineers compare two takes. */
  compare(query: string): void {
    if (!this.sound) return;
    const at = this.audio.currentTime;
    this.comparing = !this.comparing;
    this.audio.src = this.comparing ? query : source(this.sound);
    this.audio.currentTime = at;
    this.query = query;
    void this.match();
    this.playing = true;
    this.hovered = false;
    this.begin();
  }

  /** Have both sounds of a comparison as loud as the softer one, or each as it is. */
  async match(): Promise<void> {
    const { sound, query } = this;
    if (!settings.match || !sound || !query) return this.setGain(1);
    const [ofSound, ofQuery] = matched(...(await Promise.all([levelOf(source(sound)), levelOf(query)])));
    if (settings.match && this.sound === sound && this.query === query) this.setGain(this.comparing ? ofQuery : ofSound);
  }

  private setGain(gain: number): void {
    this.gain = gain;
    this.audio.volume = settings.volume * gain;
  }

  private begin(): void {
    this.audio.play().catch((cause: unknown) => {
      if (cause instanceof DOMException && cause.name === 'NotAllowedError') {
        this.stop();
        messages.say('Click anywhere once: browsers play sounds only after a click or a key.');
      }
    });
    cancelAnimationFrame(this.frame);
    this.follow();
  }

  stop(): void {
    cancelAnimationFrame(this.frame);
    this.playing = false;
    this.progress = 0;
    this.audio.pause();
  }

  again(): void {
    if (this.playing) this.stop();
    else if (this.sound) this.play(this.sound);
  }

  enter(sound: Hit): void {
    clearTimeout(this.hovering);
    // Before the first click or key the browser refuses sound: hovering then stays silent instead of complaining.
    if (!settings.hover || !navigator.userActivation.hasBeenActive || this.isPlaying(sound.id)) return;
    this.hovering = setTimeout(() => {
      this.play(sound);
      this.hovered = true;
    }, HOVER);
  }

  leave(): void {
    clearTimeout(this.hovering);
    if (this.hovered) this.stop();
    this.hovered = false;
  }

  setVolume(volume: number): void {
    settings.volume = volume;
    this.setGain(this.gain);
  }

  private follow(): void {
    this.frame = requestAnimationFrame(() => this.follow());
    const { currentTime, duration } = this.audio;
    this.progress = duration > 0 ? currentTime / duration : 0;
  }
}

const source = (sound: Hit): string => (sound.is_segment === false ? address.fileAudio(sound.id) : address.segmentAudio(sound.id));

export const player = new Player();
