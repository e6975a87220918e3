/**
 * What is typed and not yet sent, kept per person and conversation in this browser until they sign out. The oldest
 * drafts give way.
 */
import { draftsKey } from '../api/kept';

export interface Kept {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

interface Draft {
  text: string;
  at: number;
}

const MOST_DRAFTS = 50;
export const LONGEST_DRAFT = 200_000;
/** The draft of a chat that has no id yet. */
export const NEW_CHAT = 'new';

export class Drafts {
  constructor(
    private readonly storage: Kept | null,
    private readonly person: string,
    private readonly now: () => number = Date.now,
  ) {}

  read(conversation: string): string {
    return this.#all()[conversation]?.text ?? '';
  }

  keep(conversation: string, text: string): void {
    const all = this.#all();
    if (text.trim() === '') delete all[conversation];
    else all[conversation] = { text: text.slice(0, LONGEST_DRAFT), at: this.now() };
    this.#write(all);
  }

  get #key(): string {
    return draftsKey(this.person);
  }

  #all(): Record<string, Draft> {
    try {
      const kept: unknown = JSON.parse(this.storage?.getItem(this.#key) ?? '{}');
      if (kept === null || typeof kept !== 'object') return {};
      return Object.fromEntries(
        Object.entries(kept).filter((pair): pair is [string, Draft] => isDraft(pair[1])),
      );
    } catch {
      return {};
    }
  }

  #write(all: Record<string, Draft>): void {
    const newest = Object.entries(all)
      .sort(([, a], [, b]) => b.at - a.at)
      .slice(0, MOST_DRAFTS);
    try {
      if (newest.length === 0) this.storage?.removeItem(this.#key);
      else this.storage?.setItem(this.#key, JSON.stringify(Object.fromEntries(newest)));
    } catch {
      // Full or shut: the draft then lives as long as the page.
    }
  }
}

function isDraft(value: unknown): value is Draft {
  const draft = value as Draft | null;
  return typeof draft?.text === 'string' && typeof draft.at === 'number';
}

/** The browser's storage, or null where it is shut. */
export function browserStorage(): Kept | null {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}
