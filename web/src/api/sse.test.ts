import { describe, expect, it } from 'vitest';
import { conversationEvent, FrameParser, pullProgress, type Frame } from './sse';

const STREAM =
  ': hello\n\nevent: message.output.delta\r\ndata: {"type":"message.output.delta","content":"é😀"}\r\n\r\n' +
  'data: {"a":\ndata: 1}\n\ndata: not json\n\ndata: [DONE]\n\nevent: x\rdata:{"b":2}\r\r';

function parsed(pieces: string[]): Frame[] {
  const parser = new FrameParser();
  return pieces.flatMap((piece) => parser.push(piece));
}

describe('FrameParser', () => {
  const whole = parsed([STREAM, '\n']);

  it('reads frames as the standard writes them', () => {
    expect(whole).toEqual([
      { event: 'message.output.delta', data: { type: 'message.output.delta', content: 'é😀' } },
      { event: '', data: { a: 1 } },
      { event: 'x', data: { b: 2 } },
    ]);
  });

  it('reads the same however the pieces fall', () => {
    for (let size = 1; size <= 7; size++) {
      const pieces = [];
      for (let at = 0; at < STREAM.length; at += size) pieces.push(STREAM.slice(at, at + size));
      expect(parsed([...pieces, '\n']), `pieces of ${size}`).toEqual(whole);
    }
  });

  it('keeps an unfinished frame for itself', () => {
    expect(parsed(['data: {"a":1}\n'])).toEqual([]);
  });

  it('gives up on an endless frame', () => {
    const parser = new FrameParser();
    expect(() => {
      for (let round = 0; round < 100; round++) parser.push(`data: ${'x'.repeat(200_000)}\n`);
    }).toThrow('endless');
  });
});

describe('conversationEvent', () => {
  const event = (data: unknown, name = '') => conversationEvent({ event: name, data });

  it('rebuilds known events field by field', () => {
    const data = { type: 'message.output.delta', id: 'e1', model: 'm', content: 'hi', extra: { deep: true } };
    expect(event(data)).toEqual({ type: 'message.output.delta', id: 'e1', model: 'm', content: 'hi' });
  });

  it('takes thoughts and text chunks', () => {
    const thinking = { type: 'thinking', thinking: [{ type: 'text', text: 'hm' }, { type: 'image' }, null] };
    expect(event({ type: 'message.output.delta', content: thinking })).toMatchObject({
      content: { type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] },
    });
  });

  it.each([
    ['an unknown type', { type: 'execute', code: 'alert(1)' }],
    ['a name of every object', { type: 'constructor' }],
    ['no object', 'message.output.delta'],
    ['a list', [{ type: 'message.output.delta', content: 'x' }]],
    ['content that is no text', { type: 'message.output.delta', content: { type: 'html', html: '<b>' } }],
    ['a start without an id', { type: 'conversation.response.started' }],
    ['null', null],
  ])('drops %s', (_, data) => {
    expect(event(data)).toBeNull();
  });

  it('takes the word for a failure before its status', () => {
    const failed = { type: 'conversation.response.error', message: 'it broke', code: 502 };
    expect(event({ ...failed, error: 'engine_failed' })).toMatchObject({ code: 'engine_failed' });
    expect(event(failed)).toMatchObject({ code: '502' });
  });

  it('reads figures that are numbers only', () => {
    const usage = {
      prompt_tokens: 3,
      completion_tokens: 'x',
      total_tokens: null,
      tramontane: { tokens_per_s: 4.5 },
    };
    expect(event({ type: 'conversation.response.done', usage })).toMatchObject({
      usage: {
        prompt_tokens: 3,
        completion_tokens: 0,
        total_tokens: 0,
        tramontane: { tokens_per_s: 4.5, first_token_ms: null },
      },
    });
  });
});

describe('pullProgress', () => {
  it('takes progress and nothing else', () => {
    const data = { name: 'm', stage: 'fetching', done_bytes: 1, total_bytes: null };
    expect(pullProgress({ event: 'progress', data })).toEqual(data);
    expect(pullProgress({ event: 'state', data })).toBeNull();
    expect(pullProgress({ event: 'progress', data: { name: 3 } })).toBeNull();
  });
});
