/**
 * A conversation as the tree it is: every edit and every new answer is a branch. Pure; knows entries and their
 * parents, not how they are shown or kept.
 */
import type { Entry } from '../api/types';

export interface TreeRow {
  entry: Entry;
  /** Columns to the right of the trunk. */
  lane: number;
  onPath: boolean;
  /** How many branches begin here, the one going straight on included. */
  branches: number;
}

export class EntryTree {
  readonly #byId = new Map<string, Entry>();
  readonly #children = new Map<string | null, Entry[]>();

  constructor(readonly entries: readonly Entry[]) {
    for (const entry of entries) this.#byId.set(entry.id, entry);
    for (const entry of entries) {
      const parent = this.parentOf(entry);
      const brothers = this.#children.get(parent);
      if (brothers) brothers.push(entry);
      else this.#children.set(parent, [entry]);
    }
  }

  get(id: string | null): Entry | undefined {
    return id === null ? undefined : this.#byId.get(id);
  }

  /** An entry whose parent is not here hangs from the root, so that nothing is lost from view. */
  parentOf(entry: Entry): string | null {
    const parent = entry.parent_id ?? null;
    return parent !== null && parent !== entry.id && this.#byId.has(parent) ? parent : null;
  }

  childrenOf(id: string | null): readonly Entry[] {
    return this.#children.get(id) ?? [];
  }

  /** From the first entry to `head`; what a ring of parents would hide is cut off. */
  path(head: string | null): Entry[] {
    const path: Entry[] = [];
    const seen = new Set<string>();
    let entry = this.get(head);
    while (entry && !seen.has(entry.id)) {
      seen.add(entry.id);
      path.push(entry);
      entry = this.get(this.parentOf(entry));
    }
    return path.reverse();
  }

  /** Those of its kind that hang where it does, itself among them. */
  siblings(entry: Entry): string[] {
    return this.childrenOf(this.parentOf(entry))
      .filter((one) => one.type === entry.type)
      .map((one) => one.id);
  }

  /** The end of the newest branch through `id`: where one arrives when switching to it. */
  leafUnder(id: string): string {
    const seen = new Set<string>();
    let current = id;
    while (!seen.has(current)) {
      seen.add(current);
      const children = this.childrenOf(current);
      const newest = children[children.length - 1];
      if (!newest) break;
      current = newest.id;
    }
    return current;
  }

  /** The head when the server names none: the end of the newest branch. */
  newestLeaf(): string | null {
    const last = this.entries[this.entries.length - 1];
    return last ? this.leafUnder(last.id) : null;
  }

  get branched(): boolean {
    return [...this.#children.values()].some((children) => children.length > 1);
  }

  /** Rows for the tree panel, a branch below the other; the one on the way to `head` keeps the trunk. */
  rows(head: string | null): TreeRow[] {
    const onPath = new Set(this.path(head).map((entry) => entry.id));
    const rows: TreeRow[] = [];
    const seen = new Set<string>();
    const waiting: { entry: Entry; lane: number }[] = [];
    const push = (parent: string | null, lane: number) => {
      const children = [...this.childrenOf(parent)].sort(
        (a, b) => Number(onPath.has(b.id)) - Number(onPath.has(a.id)),
      );
      // The trunk is drawn last, so that its branches stand above what follows them.
      children.forEach((entry, index) => waiting.push({ entry, lane: index === 0 ? lane : lane + 1 }));
    };
    push(null, 0);
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      if (seen.has(next.entry.id)) continue;
      seen.add(next.entry.id);
      const branches = this.childrenOf(next.entry.id).length;
      rows.push({ entry: next.entry, lane: next.lane, onPath: onPath.has(next.entry.id), branches });
      push(next.entry.id, next.lane);
    }
    return rows;
  }
}
