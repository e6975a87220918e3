/** One model's answer in the playground: streamed, timed, stopped. The same call programs make, with the session. */
import { ApiError, streamed } from '../../api/client';
import { reason } from '../../parts/toast.svelte';
import type { RequestBody } from './request';

interface Delta {
  content?: unknown;
}

function record(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
}

/** What a delta adds: text, and thoughts apart. Shapes that are none of ours add nothing. */
export function added(delta: Delta): { text: string; thinking: string } {
  const out = { text: '', thinking: '' };
  if (typeof delta.content === 'string') out.text = delta.content;
  else if (Array.isArray(delta.content)) {
    for (const chunk of delta.content.map(record)) {
      if (chunk?.type === 'text' && typeof chunk.text === 'string') out.text += chunk.text;
      if (chunk?.type === 'thinking' && Array.isArray(chunk.thinking))
        for (const part of chunk.thinking.map(record))
          if (typeof part?.text === 'string') out.thinking += part.text;
    }
  }
  return out;
}

export class Run {
  text = $state('');
  thinking = $state('');
  running = $state(false);
  failed = $state<string | null>(null);
  stopped = $state(false);
  /** Milliseconds from the question to the first of the answer. */
  firstMs = $state<number | null>(null);
  tokens = $state<number | null>(null);
  promptTokens = $state<number | null>(null);
  tokensPerS = $state<number | null>(null);
  finish = $state<string | null>(null);
  #stop: AbortController | null = null;
  #held = { text: '', thinking: '' };
  #painting = 0;

  stop(): void {
    if (!this.running) return;
    this.stopped = true;
    this.#stop?.abort();
  }

  clear(): void {
    this.stop();
    this.text = this.thinking = '';
    this.failed = this.finish = null;
    this.firstMs = this.tokens = this.promptTokens = this.tokensPerS = null;
    this.stopped = false;
  }

  async ask(body: RequestBody): Promise<void> {
    this.clear();
    const stop = (this.#stop = new AbortController());
    this.running = true;
    const begun = performance.now();
    let first = 0;
    let last = 0;
    try {
      const path = '/v1/chat/completions';
      for await (const frame of streamed('POST', path, { ...body, stream: true }, { signal: stop.signal })) {
        const data = record(frame.data);
        const failure = record(data?.error) ?? (data?.object === 'error' ? data : null);
        if (failure)
          throw new ApiError(0, String(failure.message ?? ''), String(failure.code ?? 'engine_failed'));
        last = performance.now();
        const choice = record(Array.isArray(data?.choices) ? data.choices[0] : null);
        const { text, thinking } = added((record(choice?.delta) ?? {}) as Delta);
        if (!first && (text || thinking)) {
          first = last;
          this.firstMs = first - begun;
        }
        this.#add(text, thinking);
        if (typeof choice?.finish_reason === 'string') this.finish = choice.finish_reason;
        this.#count(record(data?.usage), last - first);
      }
    } catch (error) {
      if (!stop.signal.aborted) this.failed = reason(error);
    }
    this.#paint();
    this.running = false;
  }

  #count(usage: Record<string, unknown> | null, ms: number): void {
    if (typeof usage?.completion_tokens !== 'number') return;
    this.tokens = usage.completion_tokens;
    this.promptTokens = typeof usage.prompt_tokens === 'number' ? usage.prompt_tokens : null;
    // The first token's time is the prompt's; the others share what is left.
    if (this.tokens > 1 && ms > 0) this.tokensPerS = ((this.tokens - 1) * 1000) / ms;
  }

  /** Painted once a frame, however fast it comes. */
  #add(text: string, thinking: string): void {
    this.#held.text += text;
    this.#held.thinking += thinking;
    this.#painting ||= requestAnimationFrame(() => this.#paint());
  }

  #paint(): void {
    cancelAnimationFrame(this.#painting);
    this.#painting = 0;
    this.text += this.#held.text;
    this.thinking += this.#held.thinking;
    this.#held = { text: '', thinking: '' };
  }
}
