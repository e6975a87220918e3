/** Why an answer failed: in the words of the page where it has some, else in the server's. */
import type { Entry } from '../api/types';
import { refusalWords } from '../i18n/refusals';
import { errorText } from './content';

export function whyFailed(entry: Entry): string {
  const code = typeof entry.error === 'object' ? entry.error?.code : null;
  return refusalWords(code) ?? errorText(entry);
}
