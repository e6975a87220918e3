import { describe, expect, it } from 'vitest';
import type { Entry } from '../api/types';
import { EntryTree } from './tree';

const entry = (id: string, parent: string | null, type = 'message.input'): Entry => ({
  id,
  parent_id: parent,
  type,
  created_at: '2026-01-01T00:00:00Z',
});

const out = 'message.output';
const entries = [
  entry('q1', null),
  entry('a1', 'q1', out),
  entry('q2', 'a1'),
  entry('a2', 'q2', out),
  entry('a2b', 'q2', out),
  entry('q2b', 'a1'),
  entry('a3', 'q2b', out),
];

const ids = (list: readonly { id: string }[]) => list.map((one) => one.id);

describe('the tree of a conversation', () => {
  const tree = new EntryTree(entries);

  it('gives the way to the head', () => {
    expect(ids(tree.path('a2b'))).toEqual(['q1', 'a1', 'q2', 'a2b']);
    expect(tree.path(null)).toEqual([]);
    expect(tree.path('gone')).toEqual([]);
  });

  it('knows brothers and where switching to one leads', () => {
    expect(tree.siblings(entries[4]!)).toEqual(['a2', 'a2b']);
    expect(tree.siblings(entries[2]!)).toEqual(['q2', 'q2b']);
    expect(tree.leafUnder('q2')).toBe('a2b');
    expect(tree.leafUnder('q2b')).toBe('a3');
    expect(tree.newestLeaf()).toBe('a3');
    expect(tree.branched).toBe(true);
  });

  it('shows every entry once, the way to the head in the trunk', () => {
    const rows = tree.rows('a2b');
    expect(new Set(rows.map((row) => row.entry.id)).size).toBe(entries.length);
    expect(rows.filter((row) => row.onPath).map((row) => [row.entry.id, row.lane])).toEqual([
      ['q1', 0],
      ['a1', 0],
      ['q2', 0],
      ['a2b', 0],
    ]);
    expect(rows.find((row) => row.entry.id === 'q2b')?.lane).toBe(1);
  });

  it('hangs up what has lost its parent, and survives rings', () => {
    expect(ids(new EntryTree([entry('x', 'gone')]).path('x'))).toEqual(['x']);
    const ring = new EntryTree([entry('a', 'b'), entry('b', 'a'), entry('c', 'c')]);
    expect(ids(ring.path('a')).length).toBeLessThanOrEqual(2);
    expect(ring.leafUnder('a')).toBeDefined();
    expect(ring.rows('c')).toHaveLength(1);
  });

  it('holds for ten thousand entries in a row', () => {
    const long = Array.from({ length: 10_000 }, (_, n) => entry(`e${n}`, n ? `e${n - 1}` : null));
    const deep = new EntryTree(long);
    expect(deep.path('e9999')).toHaveLength(10_000);
    expect(deep.leafUnder('e0')).toBe('e9999');
    expect(deep.rows('e9999')).toHaveLength(10_000);
  });
});
