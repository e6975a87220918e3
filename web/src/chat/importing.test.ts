/** What the import dialog says and does with what comes back. Everything is real but the network. */
import { flushSync, mount, unmount } from 'svelte';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ImportResult } from '../api/types';
import { setLanguage } from '../i18n/index.svelte';
import ImportDialog from './ImportDialog.svelte';
import { list } from './list.svelte';
import { ui } from './ui.svelte';

let asked: string[];
let answer: () => Response;
let shown: Record<string, unknown>;
const heard = vi.fn();

beforeAll(() => setLanguage('en'));
beforeEach(() => {
  asked = [];
  heard.mockReset();
  vi.spyOn(BroadcastChannel.prototype, 'postMessage').mockImplementation(heard);
  vi.stubGlobal('fetch', (path: string, request: RequestInit) => {
    asked.push(`${request.method} ${path.split('?')[0]}`);
    return Promise.resolve(request.method === 'POST' ? answer() : new Response('[]'));
  });
  ui.importing = true;
  shown = mount(ImportDialog, { target: document.body });
  flushSync();
});
afterEach(async () => {
  await unmount(shown);
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

function choose() {
  const picker = document.querySelector<HTMLInputElement>('input[type=file]')!;
  Object.defineProperty(picker, 'files', { value: [new File(['[]'], 'export.json')] });
  picker.dispatchEvent(new Event('change', { bubbles: true }));
}

const words = () => document.body.textContent ?? '';

describe('an import', () => {
  it('that met the limit says so before all else', async () => {
    const problem = (code: string, conversation: number) => ({ code, conversation, message: code });
    const result: ImportResult = {
      source: 'chatgpt',
      imported: 2,
      skipped: 0,
      problems: [problem('unreadable', 1), problem('history_full', 4)],
    };
    answer = () => new Response(JSON.stringify(result));
    choose();
    await vi.waitFor(() => expect(words()).toContain('2 imported'));
    expect(document.querySelector('.problem')?.textContent).toMatch(/^Conversation 4 .*Delete some/);
    expect(document.querySelectorAll('details li')).toHaveLength(1);
  });

  it('that failed may have brought something in: the list is read again, and other tabs hear of it', async () => {
    answer = () => new Response(JSON.stringify({ message: 'too slow' }), { status: 408 });
    choose();
    await vi.waitFor(() => expect(words()).toContain('too slow'));
    await vi.waitFor(() => expect(asked).toContain('GET /v1/conversations'));
    expect(heard).toHaveBeenCalledWith({ kind: 'list' });
  });

  it('comes after what was deleted just now', async () => {
    answer = () => new Response(JSON.stringify({ source: 'chatgpt', imported: 0, skipped: 0, problems: [] }));
    list.remove('conv_a');
    choose();
    await vi.waitFor(() => expect(words()).toContain('0 imported'));
    expect(asked.slice(0, 2)).toEqual(['DELETE /v1/conversations/conv_a', 'POST /v1/conversations/import']);
  });
});
