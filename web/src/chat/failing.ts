/** Why an answer failed, in the reader's language where there are words for it; the server's own sentence is English. */
import type { Entry } from '../api/types';
import { language, translated } from '../i18n/index.svelte';
import { errorText } from './content';

export function whyFailed(entry: Entry): string {
  const code = typeof entry.error === 'object' ? entry.error?.code : null;
  const own = code && language() !== 'en' ? translated(`common.error.${code}`) : null;
  return own ?? errorText(entry);
}
