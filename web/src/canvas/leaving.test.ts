import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Chat } from '../chat/chat.svelte';
import { browserStorage, Drafts } from '../chat/drafts';
import { canvas, leaveCanvas } from './canvas.svelte';

let saved: () => void;

vi.mock('../chat/calls', async (load) => ({
  ...(await load<typeof import('../chat/calls')>()),
  documents: { add: () => new Promise<void>((resolve) => (saved = resolve)) },
}));

describe('a document that is left', () => {
  beforeEach(() => localStorage.clear());

  it('is kept in the browser until the server has it', async () => {
    const version = { version: 1, content: 'old', author: 'model' as const, created_at: '' };
    canvas.open = { id: 'd', title: 't', kind: 'markdown', versions: [version] };
    canvas.text = 'new words';
    const kept = () => new Drafts(browserStorage(), '').read('document/d');
    leaveCanvas({ id: 'c', temporary: false } as Chat);
    expect(kept()).toBe('new words');
    saved();
    await vi.waitFor(() => expect(kept()).toBe(''));
  });
});
