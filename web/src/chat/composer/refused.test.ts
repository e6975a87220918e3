/** What a question leaves in the composer when the server would not have it. */
import { flushSync, mount, tick, unmount } from 'svelte';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError } from '../../api/errors';
import { setLanguage } from '../../i18n/index.svelte';
import { Chat } from '../chat.svelte';
import Composer from '../Composer.svelte';
import { Drafts } from '../drafts';

const drafts = new Drafts(localStorage, '');
const field = () => document.querySelector('textarea')!;
const attached = () => [...document.querySelectorAll('form li')].map((row) => row.textContent?.trim());
const file = (name: string) => new File(['words'], name, { type: 'text/plain' });

function type(words: string) {
  field().value = words;
  field().dispatchEvent(new InputEvent('input', { bubbles: true }));
  flushSync();
}

function enter() {
  field().dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
  flushSync();
}

beforeAll(() => setLanguage('en'));
beforeEach(() => localStorage.clear());

describe('a question that was refused', () => {
  it('stands before the words and files that came meanwhile', async () => {
    const chat = new Chat();
    [chat.id, chat.model] = ['c', 'm'];
    let refuse!: (error: Error) => void;
    const send = () => new Promise<void>((_, reject) => (refuse = reject));
    const shown = mount(Composer, { target: document.body, props: { chat, send } });
    flushSync();
    await (shown as { add(given: File[]): Promise<void> }).add([file('a.txt')]);
    type('first');
    enter();
    expect([field().value, attached()]).toEqual(['', []]);
    type('second');
    await (shown as { add(given: File[]): Promise<void> }).add([file('b.txt')]);
    refuse(new ApiError(503, 'try again'));
    await vi.waitFor(() => expect(field().value).toBe('first\n\nsecond'));
    await tick();
    expect(attached()).toEqual([expect.stringContaining('a.txt'), expect.stringContaining('b.txt')]);
    expect(drafts.read('c')).toBe('first\n\nsecond');
    await unmount(shown);
  });
});
