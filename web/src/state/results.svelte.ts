/** The answer to the question in the address bar. Old results stay until new ones are here: nothing blinks. */
import { ApiError, api } from '../api/client';
import { limits } from '../api/schemas';
import type { Found, Hit } from '../api/types';
import { Follower } from '../lib/follower';
import { plural, sentence } from '../lib/format';
import { painted } from '../lib/painted';
import { moreFields } from '../lib/table';
import { library } from './library.svelte';
import { messages } from './messages.svelte';
import { picked } from './picked.svelte';
import { type Query, compares, findParameters, findsFiles, parameters, ranks } from './place.svelte';
import { settings } from './settings.svelte';

/** The server finds at most so many files at a time. */
const MOST_FILES = limits.find.k;
/** The server adds at most so many fields to each. */
const MOST_COLUMNS = 50;

interface Wish {
  parameters: string;
  k: number;
  /** Files are found, not segments. */
  files: boolean;
  steering: boolean;
  ranked: boolean;
  kind: Results['kind'];
  since: number;
}

/** Whether every part, as far as parts are known, has no weight. */
function silent({ weights }: Query): boolean {
  const parts = library.about ? library.parts.map(({ name }) => name) : Object.keys(weights);
  return parts.length > 0 && parts.every((part) => weights[part] === 0);
}

class Results {
  hits = $state.raw<Hit[]>([]);
  total = $state(0);
  /** How a text was understood. */
  remarks = $state.raw<string[]>([]);
  milliseconds = $state(0);
  /** So many were asked for. */
  k = 0;
  error = $state.raw<ApiError | null>(null);
  /** False until the first answer. */
  known = $state(false);
  /** A question was asked and is not answered yet: what is shown answers the one before. */
  asking = $state(false);
  /** Nothing is asked, and what is shown is painted: what only goes with the results may be asked for. */
  settled = $state(false);
  /** A person did not want to wait for the answer. */
  cancelled = $state(false);
  /** The results came in another order for the same question: cards may move to their places. */
  steering = $state(false);
  ranked = $state(false);
  /** Files are shown, not segments. */
  files = $state(false);
  /** What is shown: sounds ranked by their likeness, files that a text or fields found, or all. */
  kind = $state<'nearest' | 'found' | 'all' | 'chosen'>('all');
  private question = '';
  private asked = '';
  private follower = new Follower<Wish>((wish, signal) => this.answer(wish, signal));

  follow(query: Query, k: number): void {
    if (compares(query) && silent(query)) return this.refuse();
    const files = findsFiles(query);
    const wanted = files ? findParameters(query) : parameters(query);
    if (settings.table) for (const field of moreFields(library.fields).slice(0, MOST_COLUMNS)) wanted.append('column', field);
    wanted.set('k', String(files ? Math.min(k, MOST_FILES) : k));
    const all = wanted.toString();
    if (all === this.asked) return;
    this.asked = all;
    wanted.delete('weights');
    const question = wanted.toString();
    const steering = question === this.question;
    this.question = question;
    const kind = compares(query) ? 'nearest' : files ? 'found' : 'all';
    const wish: Wish = { parameters: all, k, files, steering, ranked: ranks(query), kind, since: performance.now() };
    this.asking = true;
    this.settled = this.cancelled = false;
    this.follower.want(wish, !steering);
  }

  /** There is nothing to ask: not a question for the server, which would say so in other words. */
  private refuse(): void {
    // Which parts there are is known in a moment.
    if (!library.about) return;
    this.asked = '';
    this.follower.cancel();
    // Not read from the state again: the effect that asks would run for ever.
    const error = new ApiError(422, 'silent', 'Every slider is at 0: nothing is left to compare. Move one up, or press Reset.');
    this.error = error;
    messages.speak(error.message);
    this.asking = this.cancelled = false;
    this.known = this.settled = true;
  }

  /** Ask the same question again, for what the library holds now. */
  refresh(query: Query, k: number): void {
    this.asked = '';
    this.follow(query, k);
  }

  /** Where chosen sounds come from. */
  title = $state('');

  /** Show sounds that were chosen elsewhere, as on the map, until the next question. */
  choose(title: string, hits: Hit[], total: number): void {
    this.title = title;
    this.follower.cancel();
    this.asking = this.cancelled = this.steering = this.ranked = this.files = false;
    this.kind = 'chosen';
    this.hits = hits;
    this.total = total;
    this.remarks = [];
    this.error = null;
    this.known = this.settled = true;
    picked.clear();
  }

  cancel(): void {
    this.follower.cancel();
    this.asking = false;
    this.settled = this.cancelled = true;
  }

  replace(ids: ReadonlySet<string>, change: (hit: Hit) => Hit): void {
    this.hits = this.hits.map((hit) => (ids.has(hit.id) ? change(hit) : hit));
  }

  private async findFiles(wanted: string, signal: AbortSignal): Promise<Found> {
    const { files, ...rest } = await api.find(wanted, signal);
    const k = Number(new URLSearchParams(wanted).get('k'));
    const hits = files.map(({ similarity, ...file }): Hit => (similarity === null ? file : { ...file, similarity }));
    // How many files there are beyond the page is not counted: one more stands for them.
    return { ...rest, hits, total: files.length < k || k === MOST_FILES ? files.length : files.length + 1 };
  }

  private async answer(wish: Wish, signal: AbortSignal): Promise<void> {
    try {
      const found = wish.files ? await this.findFiles(wish.parameters, signal) : await api.search(wish.parameters, signal);
      this.steering = wish.steering;
      this.ranked = wish.ranked;
      this.kind = wish.kind;
      this.files = wish.files;
      this.hits = found.hits;
      if (!wish.steering) picked.clear();
      library.noticeVersion(found.version);
      this.total = found.total;
      this.remarks = (found.remarks ?? []).map(sentence);
      this.milliseconds = found.milliseconds;
      this.k = wish.k;
      this.error = null;
      messages.speak(found.hits.length ? `${wish.files ? plural(found.hits.length, 'file') : library.counted(found.total)}, first ${found.hits[0]?.name}` : 'No sound found');
      void painted(wish.steering ? 'steer' : 'search', wish.since).then(() => {
        // Results that others have taken the place of may be painted late, and say nothing of these.
        if (wish.parameters === this.asked) this.settled = !this.asking;
      });
    } catch (cause) {
      // Cancelled: either by a person or by the next question, which is being asked.
      if (cause instanceof DOMException) return;
      this.error = cause instanceof ApiError ? cause : new ApiError(0, 'page', String(cause));
      messages.speak(this.error.message);
    }
    this.known = true;
    if (wish.parameters === this.asked) this.asking = false;
    if (this.error) this.settled = !this.asking;
  }
}

export const results = new Results();
