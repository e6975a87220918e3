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

async function runs(ask: HighlightAsk): Promise<Run[] | null> {
  const loader = LOADERS[ask.language];
  if (!loader) return null;
  if (!hljs.getLanguage(ask.language)) hljs.registerLanguage(ask.language, (await loader()).default);
  return runsOf(hljs.highlight(ask.text, { language: ask.language, ignoreIllegals: true }).value);
}

addEventListener('message', (event: MessageEvent<HighlightAsk>) => {
  const answer = (result: Run[] | null) =>
    postMessage({ id: event.data.id, runs: result } satisfies HighlightAnswer);
  runs(event.data).then(answer, () => answer(null));
});
