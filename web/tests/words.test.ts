import { describe, expect, it } from 'vitest';
import { lastWord, readTyped, readWords } from '../src/lib/words';

describe('words as they are typed', () => {
  it.each([
    ['dog, -rain', ['dog'], ['rain']],
    ['bird -piano', ['bird'], ['piano']],
    ['church bell,door wood , - wind', ['church bell', 'door wood'], ['wind']],
    ['-rain', [], ['rain']],
    ['hi-hat, x-ray -lo-fi', ['hi-hat', 'x-ray'], ['lo-fi']],
    [' , -, ,', [], []],
    ['dog, dog', ['dog'], []],
  ])('%s', (text, tags, not) => {
    expect(readWords(text)).toEqual({ tags, not });
  });

  it.each([
    ['dog, -rain', { tags: ['dog'], not: ['rain'] }],
    ['a,b', { tags: ['a', 'b'], not: [] }],
    ['-rain', { tags: [], not: ['rain'] }],
    ['tür -rain -wind', { text: 'tür', tags: [], not: ['rain', 'wind'] }],
    ['dog barking', { text: 'dog barking', tags: [], not: [] }],
    ['recorder - 7', { text: 'recorder - 7', tags: [], not: [] }],
    [' "-dash, one" ', { text: '-dash, one', tags: [], not: [] }],
  ])('%s: words after a comma, else text', (typed, meant) => {
    expect(readTyped(typed)).toEqual(meant);
  });

  it('puts a completion in the place of the last word, with its minus', () => {
    expect(readWords('dog, -ra', 'rain, heavy')).toEqual({ tags: ['dog'], not: ['rain, heavy'] });
    expect(readWords('', 'bell')).toEqual({ tags: ['bell'], not: [] });
    expect([lastWord('dog, -ra'), lastWord('church be'), lastWord('dog, ')]).toEqual(['ra', 'church be', '']);
  });
});
