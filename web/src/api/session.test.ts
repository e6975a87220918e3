import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import * as files from './unsent_files';
import { draftsKey } from './kept';
import { applySession, session, signOut } from './session.svelte';
import type { SessionAnswer } from './types';

const answer = (person: string, workspace = 'ws_1') =>
  ({
    signed_in: true,
    csrf: `csrf of ${person}`,
    version: '1',
    default_model: 'm',
    person: { id: person, name: person, email: `${person}@example.org`, language: null, theme: null },
    workspace: { id: workspace, name: workspace, role: 'member' },
    workspaces: [],
  }) as unknown as SessionAnswer;
const nobody = { signed_in: false, first_start: false, version: '1' } as SessionAnswer;

let left: string[];

beforeEach(() => {
  left = [];
  vi.spyOn(location, 'replace').mockImplementation((path) => void left.push(String(path)));
  vi.stubGlobal('fetch', () => Promise.resolve(new Response(null, { status: 204 })));
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe('a page', () => {
  it('goes on with the person it has, and begins anew with any other', () => {
    applySession(answer('usr_a'));
    applySession(nobody);
    applySession(answer('usr_a'));
    expect([left, session.person?.id]).toEqual([[], 'usr_a']);
    applySession(nobody);
    applySession(answer('usr_b'));
    expect([left, session.status]).toEqual([['/'], 'signed-out']);
    applySession(answer('usr_a', 'ws_2'));
    expect(left).toEqual(['/', '/']);
  });

  it('shows no other page before it is left for good', async () => {
    applySession(answer('usr_a'));
    let shown = '';
    vi.spyOn(files, 'forgetFiles').mockImplementation(async () => {
      await new Promise((resolve) => setTimeout(resolve));
      shown = session.status;
    });
    const leaving = signOut();
    await vi.waitFor(() => expect(shown).toBe('signed-in'));
    await leaving;
    expect([left, session.status, session.person]).toEqual([['/sign-in'], 'loading', null]);
  });

  it('asks whose it is when the browser shows it again', async () => {
    applySession(answer('usr_a'));
    await signOut();
    vi.stubGlobal('fetch', () => Promise.resolve(Response.json(nobody)));
    dispatchEvent(Object.assign(new Event('pageshow'), { persisted: true }));
    await vi.waitFor(() => expect(session.status).toBe('signed-out'));
  });

  it('leaves nothing of whoever signs out', async () => {
    applySession(answer('usr_a'));
    localStorage.setItem(draftsKey('usr_a'), 'words');
    localStorage.setItem(draftsKey('usr_b'), 'others');
    await signOut();
    expect(left).toEqual(['/sign-in']);
    expect([localStorage.getItem(draftsKey('usr_a')), localStorage.getItem(draftsKey('usr_b'))]).toEqual([
      null,
      'others',
    ]);
  });
});
