import { describe, expect, it } from 'vitest';
import { isWords, lastWord, readWords } from '../src/lib/words';

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

  it('are told from text by a comma or a minus', () => {
    expect(['dog, -rain', '-rain', 'bird -piano', 'a,b'].map(isWords)).toEqual([true, true, true, true]);
    expect(['dog barking', 'hi-hat', 'recorder - 7'].map(isWords)).toEqual([false, false, false]);
  });

  it('puts a completion in the place of the last word, with its minus', () => {
    expect(readWords('dog, -ra', 'rain, heavy')).toEqual({ tags: ['dog'], not: ['rain, heavy'] });
    expect(readWords('', 'bell')).toEqual({ tags: ['bell'], not: [] });
    expect([lastWord('dog, -ra'), lastWord('church be'), lastWord('dog, ')]).toEqual(['ra', 'church be', '']);
  });
});
