/** What an import could not bring in, in the person's language; a code that is not known keeps the server's own sentence. */
import type { ImportProblem } from '../api/types';
import { filled, formatNumber, translated } from '../i18n/index.svelte';

export function problemWords(problem: ImportProblem): string {
  const words = translated(`chat.importProblem.${problem.code}`);
  if (words === null) return problem.message;
  const settings = (problem.settings ?? []).map((name) => translated(`chat.importSetting.${name}`) ?? name);
  return filled(words, {
    number: formatNumber(problem.conversation),
    settings: settings.join(', '),
    limit: formatNumber(problem.limit ?? 0),
  });
}
