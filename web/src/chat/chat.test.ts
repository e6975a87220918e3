import { beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError } from '../api/errors';
import type { ConversationEvent, Entry } from '../api/types';
import { Chat } from './chat.svelte';

const said = vi.hoisted(() => ({
  stream: [] as (ConversationEvent | Error | 'silence')[],
  history: [] as (unknown[] | Error)[],
  sent: [] as { path: unknown; body: Record<string, unknown>; key: string }[],
}));

// The outside world begins at calls.ts: everything above it here is real.
vi.mock('./calls', async (load) => ({
  ...(await load<typeof import('./calls')>()),
  answer: async function* (path: unknown, body: Record<string, unknown>, key: string, signal: AbortSignal) {
    said.sent.push({ path, body, key });
    for (const event of said.stream) {
      await Promise.resolve();
      if (event instanceof Error) throw event;
      if (event === 'silence') {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        throw signal.reason;
      }
      yield event;
    }
  },
  conversations: {
    list: async () => [],
    get: async (id: string) => ({ id, name: 'Named', model: 'm', created_at: '', updated_at: '' }),
    history: async () => {
      const next = said.history.shift();
      if (next instanceof Error) throw next;
      return {
        conversation_id: 'c',
        head_entry_id: (next?.at(-1) as Entry | undefined)?.id ?? null,
        entries: next ?? [],
      };
    },
    change: async (id: string) => ({ id, name: 'Named', model: 'm', created_at: '', updated_at: '' }),
    stop: async () => {
      throw new Error('out of reach');
    },
  },
}));

const started: ConversationEvent = {
  type: 'conversation.response.started',
  conversation_id: 'c',
  input_entry_ids: ['q1'],
  output_entry_id: 'a1',
};
const delta = (content: string): ConversationEvent => ({
  type: 'message.output.delta',
  id: 'a1',
  model: 'm',
  content,
});
const done: ConversationEvent = { type: 'conversation.response.done', usage: null };
const offline = new ApiError(0, 'gone', 'offline');
const refusedAs = (id: string) => new ApiError(409, 'already', 'already_sent', null, null, [], id);
const entry = (id: string, parent: string | null, type: string, more: Partial<Entry> = {}): Entry => ({
  id,
  parent_id: parent,
  type,
  created_at: '',
  ...more,
});

function chat(): Chat {
  const made = new Chat();
  made.model = 'm';
  return made;
}

describe('a chat', () => {
  beforeEach(() => {
    said.stream = [];
    said.history = [];
    said.sent = [];
  });

  it('shows question and answer, takes the names the server gives, and keeps their places', async () => {
    said.stream = [started, delta('Hel'), delta('lo'), done];
    const one = chat();
    let begun = '';
    one.onstarted = (id) => (begun = id);
    const sending = one.send('Hi');
    const keys = one.path.map((e) => one.keyOf(e.id));
    expect(one.busy).toBe(true);
    await sending;
    expect(begun).toBe('c');
    expect(one.path.map((e) => [e.id, e.content, e.status])).toEqual([
      ['q1', 'Hi', 'done'],
      ['a1', 'Hello', 'done'],
    ]);
    expect(one.path.map((e) => one.keyOf(e.id))).toEqual(keys);
    expect(one.busy).toBe(false);
    expect(said.sent[0]).toMatchObject({ path: 'new', body: { model: 'm' } });
  });

  it('changes nothing when the server will not have the question, and sends it again as the same sending', async () => {
    said.stream = [new ApiError(400, 'too long')];
    const one = chat();
    await expect(one.send('Hi')).rejects.toThrow('too long');
    expect(one.path).toEqual([]);
    expect(one.busy).toBe(false);
    said.stream = [started, done];
    await one.send('Hi');
    expect(said.sent[0]?.key).toBe(said.sent[1]?.key);
    said.stream = [started, done];
    await one.send('Hi');
    expect(said.sent[2]?.key).not.toBe(said.sent[1]?.key);
  });

  it('sends nothing twice while an answer is written', async () => {
    said.stream = [started, delta('x'), done];
    const one = chat();
    await Promise.all([one.send('Hi'), one.send('Hi')]);
    expect(said.sent).toHaveLength(1);
  });

  it('asks for the saved answer when the connection breaks, until the server is back', async () => {
    said.stream = [started, delta('Half an'), offline];
    said.history = [
      offline,
      [
        entry('q1', null, 'message.input', { content: 'Hi' }),
        entry('a1', 'q1', 'message.output', { content: 'Half', status: 'interrupted' }),
      ],
    ];
    const one = chat();
    await one.send('Hi');
    expect(one.lost).toBe(false);
    expect(one.path.map((e) => [e.id, e.content, e.status])).toEqual([
      ['q1', 'Hi', undefined],
      ['a1', 'Half', 'interrupted'],
    ]);
  });

  it('takes a stream that ends without its last word for a broken one', async () => {
    said.stream = [started, delta('Half')];
    said.history = [
      [
        entry('q1', null, 'message.input'),
        entry('a1', 'q1', 'message.output', { content: 'Half', status: 'interrupted' }),
      ],
    ];
    const one = chat();
    await one.send('Hi');
    expect(one.path.at(-1)?.status).toBe('interrupted');
  });

  it('shows what is there when the server has had this sending already', async () => {
    const one = chat();
    one.id = 'c';
    said.stream = [new ApiError(409, 'already', 'already_sent')];
    said.history = [
      [
        entry('q1', null, 'message.input'),
        entry('a1', 'q1', 'message.output', { content: 'There', status: 'done' }),
      ],
    ];
    await one.send('Hi');
    expect(one.path.at(-1)?.content).toBe('There');
  });

  it('opens the conversation that a sending has begun without its hearing of it, and waits for the answer', async () => {
    vi.useFakeTimers();
    try {
      const one = chat();
      let begun = '';
      one.onstarted = (id) => (begun = id);
      said.stream = [offline];
      await expect(one.send('Hi')).rejects.toThrow('gone');
      expect(one.path).toEqual([]);
      said.stream = [refusedAs('c')];
      const question = entry('q1', null, 'message.input', { content: 'Hi' });
      said.history = [
        [question, entry('a1', 'q1', 'message.output', { content: '', status: 'running' })],
        [question, entry('a1', 'q1', 'message.output', { content: 'There', status: 'done' })],
      ];
      const sending = one.send('Hi');
      await vi.advanceTimersByTimeAsync(0);
      expect([begun, one.id, one.busy]).toEqual(['c', 'c', true]);
      await vi.advanceTimersByTimeAsync(2000);
      await sending;
      expect([one.path.at(-1)?.content, one.busy, one.about?.name]).toEqual(['There', false, 'Named']);
      expect(said.sent[1]?.key).toBe(said.sent[0]?.key);
    } finally {
      vi.useRealTimers();
    }
  });

  it.each([null, 'c'])(
    'gives the words back when stopped before a word came, and they are new words then',
    async (id) => {
      const one = chat();
      one.id = id;
      const kept = [
        entry('q1', null, 'message.input'),
        entry('a1', 'q1', 'message.output', { status: 'interrupted' }),
      ];
      said.history = [kept];
      said.stream = ['silence'];
      const sending = one.send('Hi');
      await Promise.resolve();
      void one.stop();
      await expect(sending).rejects.toThrow('abort');
      expect([one.busy, one.stopping]).toEqual([false, false]);
      // Where the conversation is known, what the server has kept of it is shown.
      if (id) await vi.waitFor(() => expect(one.path.at(-1)?.status).toBe('interrupted'));
      said.stream = [started, done];
      await one.send('Hi');
      expect(said.sent[1]?.key).not.toBe(said.sent[0]?.key);
    },
  );

  it('shows the answer another tab is having written, and gives the words back', async () => {
    const one = chat();
    one.id = 'c';
    said.stream = [new ApiError(409, 'still being written', 'answer_running')];
    said.history = [
      [
        entry('q1', null, 'message.input'),
        entry('a1', 'q1', 'message.output', { content: 'There', status: 'done' }),
      ],
    ];
    await expect(one.send('Hi')).rejects.toThrow('still being written');
    await vi.waitFor(() => expect(one.path.at(-1)?.content).toBe('There'));
  });

  it('says an error of the model where the answer stands', async () => {
    said.stream = [
      started,
      delta('Half'),
      { type: 'conversation.response.error', message: 'out of memory', code: '500' },
    ];
    const one = chat();
    await one.send('Hi');
    expect(one.path.at(-1)).toMatchObject({
      status: 'failed',
      content: 'Half',
      error: { message: 'out of memory' },
    });
  });

  it('edits and answers again on branches of their own', async () => {
    const one = chat();
    one.id = 'c';
    one.entries = [
      entry('q1', null, 'message.input'),
      entry('a1', 'q1', 'message.output', { status: 'done' }),
    ];
    one.head = 'a1';
    said.stream = [{ ...started, input_entry_ids: [], output_entry_id: 'a2' }, done];
    await one.regenerate(one.path[1]!, 'other');
    expect(said.sent[0]?.body).toMatchObject({ inputs: [], from_entry_id: 'q1', model: 'other' });
    expect(one.tree.siblings(one.tree.get('a2')!)).toEqual(['a1', 'a2']);
    said.stream = [{ ...started, input_entry_ids: ['q2'], output_entry_id: 'a3' }, done];
    await one.edit(one.path[0]!, 'Other');
    expect(said.sent[1]?.body).toMatchObject({ from_entry_id: 'root' });
    expect(one.path.map((e) => e.id)).toEqual(['q2', 'a3']);
  });

  it('keeps a temporary chat to itself and sends along what was said', async () => {
    const one = chat();
    one.temporary = true;
    said.stream = [started, delta('Hello'), done];
    await one.send('Hi');
    expect(one.id).toBeNull();
    said.stream = [{ ...started, input_entry_ids: ['q2'], output_entry_id: 'a2' }, done];
    await one.send('More');
    expect(said.sent[1]).toMatchObject({ path: 'new', body: { store: false } });
    expect((said.sent[1]?.body.inputs as { content: string }[]).map((input) => input.content)).toEqual([
      'Hi',
      'Hello',
      'More',
    ]);
  });
});
