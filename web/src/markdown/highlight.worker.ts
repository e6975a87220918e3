/** The highlighter in its own thread: takes `{id, language, text}`, answers `{id, runs}`. Typing never waits for it. */
import hljs from 'highlight.js/lib/core';
import { LOADERS } from './languages';
import { runsOf, type Run } from './runs';

export interface HighlightAsk {
  id: number;
  language: string;
  text: string;
}

export interface HighlightAnswer {
  id: number;
  runs: Run[] | null;
}

/** Pages of HTML hold two more languages. */
const WITHIN: Record<string, readonly string[]> = { xml: ['xml', 'javascript', 'css'] };

async function runs(ask: HighlightAsk): Promise<Run[] | null> {
  for (const name of WITHIN[ask.language] ?? [ask.language]) {
    const loader = LOADERS[name];
    if (!loader) return null;
    if (!hljs.getLanguage(name)) hljs.registerLanguage(name, (await loader()).default);
  }
  return runsOf(hljs.highlight(ask.text, { language: ask.language, ignoreIllegals: true }).value);
}

addEventListener('message', (event: MessageEvent<HighlightAsk>) => {
  const answer = (result: Run[] | null) =>
    postMessage({ id: event.data.id, runs: result } satisfies HighlightAnswer);
  runs(event.data).then(answer, () => answer(null));
});
