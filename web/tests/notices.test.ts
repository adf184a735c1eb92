import { describe, expect, it } from 'vitest';
import { byFile, noticed } from '../src/lib/notices';

describe('byFile', () => {
  it('joins the notices of a file and keeps the order of files', () => {
    const notices = [
      { path: '/b.wav', code: 'repaired', text: 'a wrong length' },
      { path: '/a.wav', code: 'silent', text: 'digital silence' },
      { path: '/b.wav', code: 'track', text: '2 audio tracks' },
    ];
    expect(byFile(notices)).toEqual([
      { path: '/b.wav', texts: ['a wrong length', '2 audio tracks'] },
      { path: '/a.wav', texts: ['digital silence'] },
    ]);
  });

  it('takes names of properties of objects for names', () => {
    expect(byFile([{ path: '__proto__', code: 'silent', text: 'x' }])).toEqual([{ path: '__proto__', texts: ['x'] }]);
    expect(byFile([])).toEqual([]);
  });
});

describe('noticed', () => {
  it('is empty for a sound without notices, also where an earlier server sends none', () => {
    expect(noticed(undefined)).toBe('');
    expect(noticed([])).toBe('');
    expect(noticed(['one', 'two'])).toBe('one\ntwo');
  });
});
