import { describe, expect, it } from 'vitest';
import { isWithin, summed, tree } from '../src/lib/folders';

describe('a tree of folders', () => {
  it('counts files at every depth', () => {
    const counts = summed([{ value: 'field/north', files: 3 }, { value: 'field', files: 1 }, { value: '.', files: 5 }, { value: 'field/north/day 2', files: 2 }]);
    expect([...counts].sort()).toEqual([['field', 6], ['field/north', 5], ['field/north/day 2', 2]]);
  });

  it('hangs each folder from its parent, and from the nearest that is listed', () => {
    const [field, kick] = tree(new Map([['.', 9], ['field', 6], ['field/north', 5], ['field/a/deep', 1], ['kick', 2]]));
    expect([field!.name, field!.files, kick!.name]).toEqual(['field', 6, 'kick']);
    expect(field!.children.map(({ name, path }) => [name, path])).toEqual([['a/deep', 'field/a/deep'], ['north', 'field/north']]);
    expect(tree(new Map([['.', 4]]))).toEqual([]);
  });

  it('knows what lies below', () => {
    expect([isWithin('field/north', 'field'), isWithin('field', 'field'), isWithin('fields', 'field')]).toEqual([true, true, false]);
  });
});
