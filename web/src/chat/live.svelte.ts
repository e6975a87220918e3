/**
 * The answer being written: the first piece is shown as it comes, and those that follow are gathered and shown once per
 * frame of the screen, whatever their number. In a hidden tab, where there are no frames, twice a second.
 */
import type { Chunk } from '../api/types';

const HIDDEN_EVERY_MS = 500;

export class Live {
  text = $state('');
  thinking = $state('');
  /** Nothing has come yet. */
  waiting = $state(true);

  #text = '';
  #thinking = '';
  #planned = false;

  add(content: string | Chunk): void {
    if (typeof content === 'string') this.#text += content;
    else if (content.type === 'text') this.#text += content.text;
    else if (content.type === 'thinking')
      this.#thinking += content.thinking.map((part) => part.text).join('');
    // The first words wait for nothing; many that follow share a frame.
    if (this.text || this.thinking) this.#plan();
    else this.flush();
  }

  #plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    if (document.hidden) setTimeout(() => this.flush(), HIDDEN_EVERY_MS);
    else requestAnimationFrame(() => this.flush());
  }

  flush(): void {
    this.#planned = false;
    this.waiting = false;
    this.text = this.#text;
    this.thinking = this.#thinking;
  }

  /** All of it, as an entry keeps it. */
  get content(): string | Chunk[] {
    if (!this.#thinking) return this.#text;
    return [
      { type: 'thinking', thinking: [{ type: 'text', text: this.#thinking }] },
      { type: 'text', text: this.#text },
    ];
  }
}
