/**
 * The shown branch as the page draws it: rows, and stretches of rows that are laid out together. What has not changed
 * since the last time is the very same object, so that a turn in a long conversation draws that turn and nothing else.
 * Pure; knows entries and their tree.
 */
import type { Entry } from '../api/types';
import type { EntryTree } from './tree';

export interface Row {
  entry: Entry;
  /** The same before and after the server has named the entry. */
  key: string;
  /** The ids of all its versions, itself among them; empty where there is only one. */
  versions: readonly string[];
  last: boolean;
}

export interface RowStretch {
  rows: readonly Row[];
  /** The one at the conversation's end, which is where one looks. */
  end: boolean;
}

export const STRETCH = 10;
const ALONE: readonly string[] = [];

export function stretchesOf(
  path: readonly Entry[],
  tree: EntryTree,
  keyOf: (id: string) => string,
  before: readonly RowStretch[] = [],
): RowStretch[] {
  const made: RowStretch[] = [];
  const count = Math.ceil(path.length / STRETCH);
  for (let place = 0; place < count; place += 1) {
    const known = before[place];
    const rows = path.slice(place * STRETCH, (place + 1) * STRETCH).map((entry, index) => {
      const last = place * STRETCH + index === path.length - 1;
      return rowOf(entry, keyOf(entry.id), versionsOf(tree, entry), last, known?.rows[index]);
    });
    const end = place === count - 1;
    made.push(known?.end === end && same(known.rows, rows) ? known : { rows, end });
  }
  return made;
}

function rowOf(
  entry: Entry,
  key: string,
  versions: readonly string[],
  last: boolean,
  known: Row | undefined,
): Row {
  const kept = known?.entry === entry && known.key === key && known.last === last;
  return kept && same(known.versions, versions) ? known : { entry, key, versions, last };
}

function versionsOf(tree: EntryTree, entry: Entry): readonly string[] {
  const ids = tree.siblings(entry);
  return ids.length > 1 ? ids : ALONE;
}

function same<T>(one: readonly T[], other: readonly T[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index]);
}
