/** In which order a question leaves and the page changes. Everything is real but the network. */
import { flushSync, mount, tick, unmount } from 'svelte';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { draftsKey } from '../api/kept';
import { setLanguage } from '../i18n/index.svelte';
import { Chat } from './chat.svelte';
import Composer from './Composer.svelte';
import { Drafts } from './drafts';

const encoder = new TextEncoder();

/** A server that says what it is told to, piece by piece. */
function server(seen: () => void) {
  let push!: (written: string) => void;
  const body = new ReadableStream<Uint8Array>({
    start: (sink) => (push = (written) => sink.enqueue(encoder.encode(written))),
  });
  const asked = vi.fn((path: string, options?: RequestInit) => {
    if (options?.method !== 'POST') return Promise.resolve(new Response('[]'));
    seen();
    return Promise.resolve(new Response(body));
  });
  vi.stubGlobal('fetch', asked);
  const said = (type: string, more: object) =>
    push(`event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`);
  return { said };
}

const names = { conversation_id: 'c', input_entry_ids: ['q1'], output_entry_id: 'a1' };

function chat(): Chat {
  const made = new Chat();
  [made.id, made.model] = ['c', 'm'];
  return made;
}

beforeAll(() => setLanguage('en'));
beforeEach(() => localStorage.clear());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('sending', () => {
  it('asks before it shows the question, in the same breath', () => {
    const one = chat();
    const seen: unknown[] = [];
    server(() => seen.push([one.path.length, one.busy]));
    void one.send('Hi');
    expect(seen).toEqual([[0, false]]);
    expect([one.path.length, one.busy]).toEqual([2, true]);
  });

  it('asks before the field empties and the draft goes', async () => {
    const one = chat();
    const seen: unknown[] = [];
    const draft = () => JSON.parse(localStorage.getItem(draftsKey('')) ?? '{}').c?.text;
    const shown = mount(Composer, { target: document.body, props: { chat: one } });
    flushSync();
    const field = document.querySelector('textarea')!;
    field.value = 'Hi';
    field.dispatchEvent(new InputEvent('input', { bubbles: true }));
    await tick();
    dispatchEvent(new Event('pagehide'));
    expect(draft()).toBe('Hi');
    server(() => seen.push([field.value, draft()]));
    field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
    expect(seen).toEqual([['Hi', 'Hi']]);
    flushSync();
    expect(field.value).toBe('');
    // Who reloads now finds no draft of what was sent.
    dispatchEvent(new Event('pagehide'));
    expect(draft()).toBeUndefined();
    await unmount(shown);
  });

  it('leaves no draft of what was sent to whoever comes back at once', async () => {
    const one = chat();
    const kept = new Drafts(localStorage, '');
    kept.keep('c', 'Hi');
    server(() => {});
    const shown = mount(Composer, { target: document.body, props: { chat: one } });
    await tick();
    const field = document.querySelector('textarea')!;
    expect(field.value).toBe('Hi');
    field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
    await tick();
    expect(kept.read('c')).toBe('Hi');
    await unmount(shown);
    expect(kept.read('c')).toBe('');
  });

  it('shows the first word before it tells other tabs', async () => {
    // For the page, time stands still until the word is there, however long that takes.
    const later = setTimeout;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const heard = vi.spyOn(BroadcastChannel.prototype, 'postMessage').mockImplementation(() => {});
    const one = chat();
    const { said } = server(() => {});
    void one.send('Hi');
    said('conversation.response.started', names);
    said('message.output.delta', { id: 'a1', content: 'Hello' });
    while (one.live?.text !== 'Hello') await new Promise((done) => later(done));
    expect(heard).not.toHaveBeenCalled();
    // From here on it goes by with each look.
    await vi.waitFor(() => expect(heard).toHaveBeenCalledWith({ kind: 'conversation', id: 'c' }));
  });
});
