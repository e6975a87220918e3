/** What stands open around the chat: dialogs, the panel beside the words, the chat itself for who acts on it from afar. */
import type { Chat } from './chat.svelte';

export type Panel = 'settings' | 'tree' | 'canvas';

class Ui {
  palette = $state(false);
  help = $state(false);
  importing = $state(false);
  prompts = $state(false);
  panel = $state<Panel | null>(null);
  chat = $state.raw<Chat | null>(null);
  /** A new chat begins as one that is not kept. */
  beginTemporary = $state(false);
  /** Counts up when the composer, or the search field, is asked to take the keyboard. */
  composerWanted = $state(0);
  searchWanted = $state(0);

  toggle(panel: Panel): void {
    this.panel = this.panel === panel ? null : panel;
  }
}

export const ui = new Ui();
