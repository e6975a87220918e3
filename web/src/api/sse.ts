/**
 * Reads event streams. Frames are parsed as the standard says; `conversationEvent` lets through a closed set of shapes
 * and nothing else, so that a model server can never hand the page anything it does not expect.
 */
import type { Chunk, ConversationEvent, PullProgress, TextChunk, Usage } from './types';

export interface Frame {
  event: string;
  data: unknown;
}

/** A frame larger than this is no answer of ours; the stream is given up. In characters. */
const LARGEST_FRAME = 8_000_000;

/** Takes pieces of text as they come and gives the complete frames; `[DONE]` and comments are dropped. */
export class FrameParser {
  #rest = '';
  #event = '';
  #data: string[] = [];
  #size = 0;

  push(piece: string): Frame[] {
    const frames: Frame[] = [];
    const whole = this.#rest + piece;
    // A lone carriage return at the end may be half of a line end.
    const held = whole.endsWith('\r') ? 1 : 0;
    const lines = whole.slice(0, whole.length - held).split(/\r\n|\n|\r/);
    this.#rest = (lines.pop() ?? '') + (held ? '\r' : '');
    for (const line of lines) this.#line(line, frames);
    if (this.#rest.length + this.#size > LARGEST_FRAME) throw new Error('the stream sent an endless frame');
    return frames;
  }

  #line(line: string, frames: Frame[]): void {
    if (line === '') {
      this.#finish(frames);
      return;
    }
    if (line.startsWith(':')) return;
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (name === 'event') this.#event = value;
    else if (name === 'data') {
      this.#data.push(value);
      this.#size += value.length;
    }
  }

  #finish(frames: Frame[]): void {
    const written = this.#data.join('\n');
    const event = this.#event;
    this.#event = '';
    this.#data = [];
    this.#size = 0;
    if (!written || written === '[DONE]') return;
    try {
      frames.push({ event, data: JSON.parse(written) });
    } catch {
      // Not JSON: nothing of ours.
    }
  }
}

export async function* readFrames(body: ReadableStream<Uint8Array>): AsyncGenerator<Frame> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new FrameParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
}

// --- the closed set -------------------------------------------------------------------------------------------------

type Raw = Record<string, unknown>;

function record(value: unknown): Raw | null {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Raw) : null;
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

function textChunks(value: unknown): TextChunk[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((one) => {
    const words = text(record(one)?.text);
    return words === null ? [] : [{ type: 'text' as const, text: words }];
  });
}

function content(value: unknown): string | Chunk | null {
  if (typeof value === 'string') return value;
  const chunk = record(value);
  if (chunk?.type === 'thinking') return { type: 'thinking', thinking: textChunks(chunk.thinking) };
  const words = text(chunk?.text);
  return chunk?.type === 'text' && words !== null ? { type: 'text', text: words } : null;
}

function usage(value: unknown): Usage | null {
  const raw = record(value);
  if (!raw) return null;
  const own = record(raw.tramontane);
  const figure = (name: string) => (typeof own?.[name] === 'number' ? (own[name] as number) : null);
  return {
    prompt_tokens: count(raw.prompt_tokens),
    completion_tokens: count(raw.completion_tokens),
    total_tokens: count(raw.total_tokens),
    tramontane: own && {
      first_token_ms: figure('first_token_ms'),
      tokens_per_s: figure('tokens_per_s'),
      cached_tokens: figure('cached_tokens'),
      finish_reason: text(own.finish_reason),
    },
  };
}

type Reader = (raw: Raw) => ConversationEvent | null;

const READERS: Record<ConversationEvent['type'], Reader> = {
  'conversation.response.started': (raw) => {
    const conversation_id = text(raw.conversation_id);
    if (conversation_id === null) return null;
    const given = Array.isArray(raw.input_entry_ids) ? raw.input_entry_ids : [];
    const input_entry_ids = given.filter((id): id is string => typeof id === 'string');
    const output_entry_id = text(raw.output_entry_id);
    return { type: 'conversation.response.started', conversation_id, input_entry_ids, output_entry_id };
  },
  'message.output.delta': (raw) => {
    const words = content(raw.content);
    return words === null
      ? null
      : { type: 'message.output.delta', id: text(raw.id) ?? '', model: text(raw.model), content: words };
  },
  'conversation.response.done': (raw) => ({ type: 'conversation.response.done', usage: usage(raw.usage) }),
  'conversation.response.error': (raw) => ({
    type: 'conversation.response.error',
    message: text(raw.message) ?? '',
    // `code` is a status, as this API has it; the word for what went wrong stands beside it.
    code: text(raw.error) ?? (typeof raw.code === 'number' ? String(raw.code) : text(raw.code)),
  }),
};

/** The event a frame carries, rebuilt field by field; null for anything outside the closed set. */
export function conversationEvent(frame: Frame): ConversationEvent | null {
  const raw = record(frame.data);
  const type = text(raw?.type) ?? frame.event;
  if (!raw || !Object.hasOwn(READERS, type)) return null;
  return READERS[type as ConversationEvent['type']](raw);
}

/** A model's progress on its way here; null for anything else. */
export function pullProgress(frame: Frame): PullProgress | null {
  const raw = record(frame.data);
  const name = text(raw?.name);
  if (frame.event !== 'progress' || !raw || name === null) return null;
  const bytes = (value: unknown) => (typeof value === 'number' ? value : null);
  return {
    name,
    stage: text(raw.stage) ?? '',
    done_bytes: bytes(raw.done_bytes),
    total_bytes: bytes(raw.total_bytes),
  };
}
