import { beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError } from '../api/errors';
import type { CanvasDocument } from '../api/types';
import type { Chat } from '../chat/chat.svelte';
import { browserStorage, Drafts } from '../chat/drafts';
import { setLanguage, t } from '../i18n/index.svelte';
import { toasts } from '../parts/toast.svelte';
import { canvas, leaveCanvas, load, saveVersion } from './canvas.svelte';

let answered: (how?: Error) => void;
const version = (number: number, content: string) => ({
  version: number,
  content,
  author: 'model' as const,
  created_at: '',
});
const atServer = { versions: [version(1, 'old'), version(2, 'quicker')] };

vi.mock('../chat/calls', async (load) => ({
  ...(await load<typeof import('../chat/calls')>()),
  documents: {
    add: () => new Promise<void>((resolve, reject) => (answered = (how) => (how ? reject(how) : resolve()))),
    get: (_: string, id: string) => Promise.resolve({ ...document(id), ...atServer }),
    list: () => Promise.resolve([]),
  },
}));

function document(id: string): CanvasDocument {
  return { id, title: 't', kind: 'markdown', versions: [version(1, 'old')] };
}

const kept = () => new Drafts(browserStorage(), '').read('document/d');
const said = () => toasts.shown.map((note) => note.text);
const notTheNewest = () => new ApiError(409, 'somebody was quicker', 'not_the_newest');
const chat = () => ({ id: 'c', temporary: false, closed: false }) as Chat;

beforeEach(async () => {
  localStorage.clear();
  toasts.shown = [];
  await setLanguage('en');
  canvas.open = document('d');
  canvas.text = 'new words';
});

describe('a document that is left', () => {
  it('is kept in the browser until the server has it', async () => {
    leaveCanvas(chat());
    expect(kept()).toBe('new words');
    answered();
    await vi.waitFor(() => expect(kept()).toBe(''));
  });

  it('does not come along to the next chat when somebody else was quicker', async () => {
    leaveCanvas(chat());
    answered(notTheNewest());
    await vi.waitFor(() => expect(said()).toEqual([t('chat.versionConflict')]));
    expect([canvas.open, kept()]).toEqual([null, 'new words']);
  });

  it('is not shown any more when it comes after one has gone on', async () => {
    canvas.open = null;
    const left = { ...chat(), closed: true } as Chat;
    await load(left, 'd');
    expect(canvas.open).toBeNull();
  });
});

describe('a version on its way', () => {
  it('leaves alone what is typed meanwhile', async () => {
    const saving = saveVersion(chat(), 'new words', 'person');
    canvas.text = 'new words and more';
    answered();
    await saving;
    expect([canvas.newest?.content, canvas.text]).toEqual(['quicker', 'new words and more']);
  });
});

describe('a version that the server does not take', () => {
  it('stays in the field above the one that was quicker', async () => {
    const saving = saveVersion(chat(), 'new words', 'person');
    answered(notTheNewest());
    await saving;
    expect([canvas.newest?.content, canvas.text]).toEqual(['quicker', 'new words']);
    expect(said()).toEqual([t('chat.versionConflict')]);
  });

  it('is refused with its reason where nobody was quicker, and stays too', async () => {
    leaveCanvas(chat());
    answered(new ApiError(409, 'your conversations are full', 'history_full'));
    await vi.waitFor(() => expect(said()).toHaveLength(1));
    expect(said()).not.toEqual([t('chat.versionConflict')]);
    expect(kept()).toBe('new words');
    canvas.open = document('d');
    canvas.text = 'new words';
    const saving = saveVersion(chat(), 'new words', 'person');
    answered(new ApiError(409, 'at most 200 versions', 'document_full'));
    await expect(saving).rejects.toThrow('at most 200 versions');
    expect([canvas.newest?.content, canvas.text]).toEqual(['old', 'new words']);
  });
});
