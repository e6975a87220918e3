/** The person's prompt shortcuts: texts one calls up by `/name`. */
import type { Shortcut } from '../api/types';
import { shortcuts } from './calls';

class Shortcuts {
  all = $state.raw<Shortcut[]>([]);
  loaded = $state(false);

  async refresh(): Promise<void> {
    this.all = await shortcuts.list();
    this.loaded = true;
  }
}

export const prompts = new Shortcuts();

/** The name being typed when a message is nothing but `/name`; null otherwise. */
export function askedFor(text: string): string | null {
  return /^\/(\S*)$/.exec(text)?.[1] ?? null;
}
