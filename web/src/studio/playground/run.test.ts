import { afterEach, describe, expect, it, vi } from 'vitest';
import { added, Run } from './run.svelte';

const BODY = { model: 'm', messages: [] };

function answering(...frames: unknown[]) {
  const text = frames.map((frame) => `data: ${JSON.stringify(frame)}\n\n`).join('') + 'data: [DONE]\n\n';
  vi.stubGlobal('fetch', () => Promise.resolve(new Response(text, { status: 200 })));
}

const piece = (content: unknown, finish: string | null = null) => ({
  choices: [{ delta: { content }, finish_reason: finish }],
});

afterEach(() => vi.unstubAllGlobals());

describe('a delta', () => {
  it('adds text and thoughts apart, and nothing for shapes that are none', () => {
    expect(added({ content: 'a' })).toEqual({ text: 'a', thinking: '' });
    const chunks = [
      { type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] },
      { type: 'text', text: 'yes' },
      { type: 'image_url', image_url: 'http://elsewhere' },
      null,
      3,
    ];
    expect(added({ content: chunks })).toEqual({ text: 'yes', thinking: 'hm' });
    expect(added({ content: { text: 'x' } })).toEqual({ text: '', thinking: '' });
  });
});

describe('a run', () => {
  it('keeps the whole answer and its numbers', async () => {
    answering(piece('Hel'), piece('lo'), {
      ...piece('', 'stop'),
      usage: { prompt_tokens: 3, completion_tokens: 2 },
    });
    const run = new Run();
    await run.ask(BODY);
    expect([run.text, run.finish, run.tokens, run.promptTokens]).toEqual(['Hello', 'stop', 2, 3]);
    expect(run.firstMs).not.toBeNull();
    expect([run.running, run.failed]).toEqual([false, null]);
  });

  it('says what broke in the middle and keeps what came', async () => {
    answering(piece('half'), { object: 'error', message: 'the engine is gone', code: 'engine_failed' });
    const run = new Run();
    await run.ask(BODY);
    expect([run.text, run.failed]).toEqual(['half', 'the engine is gone']);
  });

  it('says a refusal', async () => {
    const refusal = JSON.stringify({ object: 'error', message: 'no such model', code: 'model_not_found' });
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(refusal, { status: 404 })));
    const run = new Run();
    await run.ask(BODY);
    expect([run.failed, run.running]).toEqual(['no such model', false]);
  });

  it('stops without an error', async () => {
    vi.stubGlobal(
      'fetch',
      (_: string, { signal }: RequestInit) =>
        new Promise((_resolve, reject) => {
          signal!.addEventListener('abort', () => reject(new DOMException('', 'AbortError')));
        }),
    );
    const run = new Run();
    const asking = run.ask(BODY);
    run.stop();
    await asking;
    expect([run.stopped, run.running, run.failed]).toEqual([true, false, null]);
  });
});
