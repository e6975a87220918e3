import { describe, expect, it } from 'vitest';
import type { Entry } from '../api/types';
import { STRETCH, stretchesOf } from './rows';
import { EntryTree } from './tree';

const own = (id: string) => id;

/** Questions and answers in turn, each after the one before. */
function talk(count: number): Entry[] {
  return Array.from({ length: count }, (_, n) => ({
    id: `e${n}`,
    parent_id: n ? `e${n - 1}` : null,
    type: n % 2 ? 'message.output' : 'message.input',
    created_at: '2026-01-01T00:00:00Z',
  }));
}

function shown(entries: readonly Entry[], head: string, before?: ReturnType<typeof stretchesOf>) {
  const tree = new EntryTree(entries);
  return stretchesOf(tree.path(head), tree, own, before);
}

describe('the rows of a conversation', () => {
  it('hold every entry of the branch in its order, the last one marked', () => {
    const stretches = shown(talk(2 * STRETCH + 3), `e${2 * STRETCH + 2}`);
    const rows = stretches.flatMap((one) => one.rows);
    expect(stretches.map((one) => [one.rows.length, one.end])).toEqual([
      [STRETCH, false],
      [STRETCH, false],
      [3, true],
    ]);
    expect(rows.map((row) => row.entry.id)).toEqual(talk(2 * STRETCH + 3).map((entry) => entry.id));
    expect(rows.filter((row) => row.last).map((row) => row.entry.id)).toEqual([`e${2 * STRETCH + 2}`]);
    expect(shown([], 'gone')).toEqual([]);
  });

  it('stay the very same where a turn changed nothing', () => {
    const entries = talk(100 * STRETCH + 2);
    const before = shown(entries, entries.at(-1)!.id);
    const more: Entry[] = [
      { id: 'q', parent_id: entries.at(-1)!.id, type: 'message.input', created_at: '' },
      { id: 'a', parent_id: 'q', type: 'message.output', created_at: '' },
    ];
    const after = shown([...entries, ...more], 'a', before);
    expect(after.filter((one, place) => one !== before[place])).toHaveLength(1);
    const rows = after.at(-1)!.rows;
    expect(rows[0]).toBe(before.at(-1)!.rows[0]);
    // It is the last no more.
    expect(rows[1]).not.toBe(before.at(-1)!.rows[1]);
    expect(shown([...entries, ...more], 'a', after)).toEqual(after);
  });

  it('change where an entry got another version, and nowhere else', () => {
    const entries = talk(4);
    const before = shown(entries, 'e3');
    const after = shown([...entries, { ...entries[2]!, id: 'other' }], 'e3', before);
    const same = after[0]!.rows.map((row, place) => row === before[0]!.rows[place]);
    expect(same).toEqual([true, true, false, true]);
    expect(after[0]!.rows[2]!.versions).toEqual(['e2', 'other']);
    expect(after[0]!.rows[1]!.versions).toEqual([]);
  });

  it('keep their keys when the server names an entry', () => {
    const entries = talk(2);
    const tree = new EntryTree(entries.map((one) => (one.id === 'e1' ? { ...one, id: 'given' } : one)));
    const rows = stretchesOf(tree.path('given'), tree, (id) => (id === 'given' ? 'e1' : id))[0]!.rows;
    expect(rows.map((row) => row.key)).toEqual(['e0', 'e1']);
  });
});
