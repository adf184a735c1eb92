/** Levels of two sounds, for a comparison in which the louder one has no advantage. */

/** Root mean square of all channels; 0 of nothing. */
export function rms(channels: readonly Float32Array[]): number {
  let sum = 0;
  let count = 0;
  for (const channel of channels) {
    for (const sample of channel) sum += sample * sample;
    count += channel.length;
  }
  return count ? Math.sqrt(sum / count) : 0;
}

/** By what each of two sounds is multiplied so that both are as loud as the softer one; silence changes nothing. */
export function matched(one: number, other: number): [number, number] {
  if (!(one > 0 && other > 0)) return [1, 1];
  return one > other ? [other / one, 1] : [1, one / other];
}

export const decibels = (gain: number): string => `${gain < 1 ? '−' : '+'}${Math.abs(20 * Math.log10(gain)).toFixed(1)} dB`;

/** Longer files are not decoded for their level. */
const MOST_BYTES = 64e6;
const levels = new Map<string, Promise<number>>();

/** The level of what an address plays, as the browser decodes it; 0 where it is not known. */
export function levelOf(url: string): Promise<number> {
  let level = levels.get(url);
  if (!level) levels.set(url, (level = measured(url).catch(() => 0)));
  return level;
}

async function measured(url: string): Promise<number> {
  const answer = await fetch(url);
  if (!answer.ok || Number(answer.headers.get('content-length')) > MOST_BYTES) return 0;
  const sound = await new OfflineAudioContext(1, 1, 48_000).decodeAudioData(await answer.arrayBuffer());
  return rms(Array.from({ length: sound.numberOfChannels }, (_, channel) => sound.getChannelData(channel)));
}
