/**
 * Asks the highlighter's thread and remembers what is pending. Knows nothing of elements; a block asks, and gets runs
 * or null (language unknown, code too long, no threads): then the code stays plain.
 */
import workerUrl from './highlight.worker?worker&url';
import type { HighlightAnswer, HighlightAsk } from './highlight.worker';
import type { Run } from './runs';

/** In characters. Longer code stays plain: colours are not worth a hundred thousand elements. */
export const LONGEST_HIGHLIGHTED = 60_000;

interface ScriptUrlPolicy {
  createScriptURL(address: string): string;
}
interface PolicyFactory {
  createPolicy(name: string, rules: ScriptUrlPolicy): ScriptUrlPolicy;
}

const waiting = new Map<number, (runs: Run[] | null) => void>();
let worker: Worker | null | undefined;
let policy: ScriptUrlPolicy | undefined;
let last = 0;

/** Under Trusted Types a thread starts only from an address that a policy of ours has made. */
function trusted(address: string): string {
  const factory = (globalThis as { trustedTypes?: PolicyFactory }).trustedTypes;
  policy ??= factory?.createPolicy('tramontane-highlight', { createScriptURL: (given) => given });
  return policy ? policy.createScriptURL(address) : address;
}

function started(): Worker | null {
  if (worker !== undefined) return worker;
  try {
    worker = new Worker(trusted(workerUrl), { type: 'module' });
    worker.onmessage = (event: MessageEvent<HighlightAnswer>) => settle(event.data.id, event.data.runs);
    worker.onerror = () => {
      worker = null;
      for (const id of [...waiting.keys()]) settle(id, null);
    };
  } catch {
    worker = null;
  }
  return worker;
}

function settle(id: number, runs: Run[] | null): void {
  waiting.get(id)?.(runs);
  waiting.delete(id);
}

export function highlight(language: string, text: string): Promise<Run[] | null> {
  const thread = text.length <= LONGEST_HIGHLIGHTED ? started() : null;
  if (!thread) return Promise.resolve(null);
  last += 1;
  const ask: HighlightAsk = { id: last, language, text };
  return new Promise((resolve) => {
    waiting.set(ask.id, resolve);
    thread.postMessage(ask);
  });
}
