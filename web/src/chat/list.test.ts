import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { signOut } from '../api/session.svelte';
import { setLanguage } from '../i18n/index.svelte';
import { toasts } from '../parts/toast.svelte';
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

  it('goes before its session does', async () => {
    list.remove('conv_c');
    await signOut();
    expect(asked.map((one) => `${one.method} ${one.path}`)).toEqual([
      'DELETE /v1/conversations/conv_c',
      'POST /web/sign-out',
    ]);
  });
});
