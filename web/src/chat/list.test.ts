import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { api } from '../api/client';
import { signOut } from '../api/session.svelte';
import { draftsKey } from '../api/kept';
import { setLanguage } from '../i18n/index.svelte';
import { toasts } from '../parts/toast.svelte';
import { browserStorage, Drafts } from './drafts';
import { list } from './list.svelte';

const asked: { method: string; path: string; keepalive: boolean }[] = [];

beforeAll(() => setLanguage('en'));
beforeEach(() => {
  asked.length = 0;
  toasts.shown = [];
  vi.stubGlobal('fetch', (path: string, request: RequestInit) => {
    asked.push({ method: request.method ?? '', path, keepalive: request.keepalive ?? false });
    return Promise.resolve(new Response('[]'));
  });
});
afterEach(() => vi.unstubAllGlobals());

const leave = () => dispatchEvent(new Event('pagehide'));
const undo = () => toasts.shown.at(-1)?.action?.run();
const deletions = () => asked.filter((one) => one.method === 'DELETE');

describe('a deleted conversation', () => {
  it('goes when the page does, by a request that outlives it, and once', () => {
    list.remove('conv_a');
    expect(deletions()).toEqual([]);
    leave();
    leave();
    expect(deletions()).toEqual([{ method: 'DELETE', path: '/v1/conversations/conv_a', keepalive: true }]);
    expect(toasts.shown).toEqual([]);
  });

  it('stays when its deletion was undone before', () => {
    list.remove('conv_b');
    undo();
    leave();
    expect(deletions()).toEqual([]);
  });

  it('takes the words along that were written for it', async () => {
    const drafts = new Drafts(browserStorage(), '');
    drafts.keep('conv_e', 'half a question');
    list.remove('conv_e');
    expect(drafts.read('conv_e')).toBe('half a question');
    leave();
    await vi.waitFor(() => expect(localStorage.getItem(draftsKey(''))).toBeNull());
  });

  it('goes at once when there is no room for what one sends, which is then sent again, once', async () => {
    const full = () =>
      new Response(JSON.stringify({ code: 'history_full', message: 'full' }), { status: 409 });
    let answers = [full(), new Response('[]'), new Response('{}')];
    vi.stubGlobal('fetch', (path: string, request: RequestInit) => {
      asked.push({ method: request.method ?? '', path, keepalive: false });
      return Promise.resolve(answers.shift());
    });
    list.remove('conv_f');
    await api.post('/v1/conversations');
    expect(asked.map((one) => `${one.method} ${one.path}`)).toEqual([
      'POST /v1/conversations',
      'DELETE /v1/conversations/conv_f',
      'POST /v1/conversations',
    ]);
    expect(toasts.shown).toEqual([]);
    leave();
    expect(asked).toHaveLength(3);
    answers = [full(), full()];
    await expect(api.post('/v1/conversations')).rejects.toMatchObject({ code: 'history_full' });
    expect(asked).toHaveLength(4);
  });

  it('goes before its session does', async () => {
    list.remove('conv_c');
    await signOut();
    expect(asked.map((one) => `${one.method} ${one.path}`)).toEqual([
      'DELETE /v1/conversations/conv_c',
      'POST /web/sign-out',
    ]);
  });
});
