import { describe, expect, it } from 'vitest';
import { givingWay, KeptFiles } from './unsent_files';

const standing = (conversation: string, at: number, size: number) => ({ conversation, at, size });

describe('unsent files', () => {
  it('give way oldest first, and only as many as must', () => {
    const all = [standing('new', 3, 40), standing('old', 1, 30), standing('middle', 2, 30)];
    expect(givingWay(all, 0, 100)).toEqual([]);
    expect(givingWay(all, 20, 100)).toEqual(['old']);
    expect(givingWay(all, 31, 100)).toEqual(['old', 'middle']);
    expect(givingWay(all, 100, 100)).toEqual(['old', 'middle', 'new']);
  });

  it('are said not to be kept where the browser keeps nothing', async () => {
    const kept = new KeptFiles<{ size: number }>('anna');
    expect(await kept.keep('c1', [{ size: 1 }])).toBe(false);
    expect(await kept.keep('c1', [])).toBe(true);
    expect(await kept.read('c1')).toEqual([]);
  });
});
