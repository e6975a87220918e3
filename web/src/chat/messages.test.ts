import { flushSync, mount, unmount } from 'svelte';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { setLanguage } from '../i18n/index.svelte';
import type { Entry } from '../api/types';
import { Chat } from './chat.svelte';
import { Live } from './live.svelte';
import Messages from './Messages.svelte';

const entries: Entry[] = [
  { id: 'q1', parent_id: null, type: 'message.input', content: 'Hi', created_at: '' },
  { id: 'a1', parent_id: 'q1', type: 'message.output', content: 'Hello', status: 'done', created_at: '' },
];

let shown: Record<string, unknown> | null = null;
function show(): { chat: Chat; page: HTMLElement } {
  const chat = new Chat();
  [chat.id, chat.entries, chat.head] = ['c', entries, 'a1'];
  shown = mount(Messages, { target: document.body, props: { chat } });
  flushSync();
  return { chat, page: document.body };
}

const names = (page: Element) =>
  [...page.querySelectorAll('.actions button')].map((button) => button.getAttribute('aria-label'));

beforeAll(() => setLanguage('en'));
beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(async () => {
  if (shown) await unmount(shown);
  shown = null;
  vi.useRealTimers();
});

describe('the messages', () => {
  it('have their buttons a moment after their words, for everybody, with nothing pointed at', () => {
    const { page } = show();
    expect(page.querySelector('.question')!.textContent).toContain('Hi');
    expect(names(page)).toEqual([]);
    // Their place is kept from the beginning, so that nothing jumps.
    expect(page.querySelectorAll('.actions')).toHaveLength(2);
    vi.advanceTimersByTime(1000);
    flushSync();
    expect(names(page)).toEqual(expect.arrayContaining(['Copy', 'Edit', 'Answer again']));
  });

  it('answer again at one press, and only while nothing is being written', () => {
    const { chat, page } = show();
    chat.model = 'm';
    vi.advanceTimersByTime(1000);
    flushSync();
    const again = vi.spyOn(chat, 'regenerate').mockResolvedValue();
    const button = page.querySelector<HTMLButtonElement>('[aria-label="Answer again"]')!;
    button.click();
    expect(again.mock.calls.map(([entry, model]) => [entry.id, model])).toEqual([['a1', undefined]]);
    chat.live = new Live();
    flushSync();
    expect(button.disabled).toBe(true);
  });

  it('let the sign of waiting move only when there is something to wait for', () => {
    const { chat, page } = show();
    chat.live = new Live();
    chat.liveId = 'a1';
    flushSync();
    const dot = page.querySelector('.dot')!;
    expect(dot.classList).not.toContain('long');
    vi.advanceTimersByTime(1000);
    flushSync();
    expect(dot.classList).toContain('long');
    chat.live.add('Hello');
    flushSync();
    expect(page.querySelector('.dot')).toBeNull();
  });

  it('send no edit while an answer is being written, and keep its words', async () => {
    const { chat, page } = show();
    vi.advanceTimersByTime(1000);
    flushSync();
    const edit = vi.spyOn(chat, 'edit').mockResolvedValue();
    page.querySelector<HTMLElement>('[aria-label=Edit]')!.click();
    flushSync();
    const field = page.querySelector<HTMLTextAreaElement>('.edit textarea')!;
    const enter = () => field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
    chat.live = new Live();
    enter();
    flushSync();
    expect(edit).not.toHaveBeenCalled();
    expect(page.querySelector<HTMLTextAreaElement>('.edit textarea')!.value).toBe('Hi');
    chat.live = null;
    enter();
    expect(edit).toHaveBeenCalledOnce();
  });
});
