/** What is typed: words for the model, with commas or a minus that excludes one ("dog, -rain"), or text ("tür -rain", "dog"). */

export interface TypedWords {
  tags: string[];
  not: string[];
}

const pieces = (text: string): string[] => text.split(/,|\s(?=-\S)/).map((piece) => piece.trim());
const bare = (piece: string): string => piece.replace(/^-\s*/, '').trim();

/**
 * @param text what was typed.
 * @param completion stands for the last word, whole, even if it has a comma; the minus that was typed before it holds.
 */
export function readWords(text: string, completion?: string): TypedWords {
  const words: TypedWords = { tags: [], not: [] };
  const all = pieces(text);
  all.forEach((piece, index) => {
    const word = completion !== undefined && index === all.length - 1 ? completion : bare(piece);
    const list = piece.startsWith('-') ? words.not : words.tags;
    if (word && !list.includes(word)) list.push(word);
  });
  return words;
}

/**
 * What is meant: without a comma, what is wanted is text, which finds names before it asks the model; in quotes all of it is.
 * Words that are only excluded have neither text nor tags.
 */
export function readTyped(typed: string): TypedWords & { text?: string } {
  const quoted = /^"(.+)"$/.exec(typed.trim());
  if (quoted) return { text: quoted[1]!.trim(), tags: [], not: [] };
  const words = readWords(typed);
  if (typed.includes(',')) return words;
  return { ...(words.tags.length && { text: words.tags.join(' ') }), tags: [], not: words.not };
}

/** The word that is being typed, without its minus: what is completed. */
export const lastWord = (text: string): string => bare(pieces(text).at(-1) ?? '');
