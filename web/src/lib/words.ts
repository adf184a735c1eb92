/** Words as they are typed: commas separate them, and a minus before one excludes it ("dog, -rain", "bird -piano"). */

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

/** Whether what was typed is a list of words for the model, and no text: it has a comma or a minus. */
export const isWords = (text: string): boolean => /,|(^|\s)-\S/.test(text.trim());

/** The word that is being typed, without its minus: what is completed. */
export const lastWord = (text: string): string => bare(pieces(text).at(-1) ?? '');
