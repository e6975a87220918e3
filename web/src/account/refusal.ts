/** What the server's refusals of a form mean to the person: a sentence for the whole form, and those of single fields. */
import { ApiError } from '../api/errors';
import { language, t } from '../i18n/index.svelte';
import { reason } from '../parts/toast.svelte';

export interface Refusal {
  whole: string | null;
  fields: Record<string, string>;
}

export const NOTHING: Refusal = { whole: null, fields: {} };

/** `known` are the fields the form shows; the problem of any other field stands over the form. */
export function refusal(error: unknown, known: readonly string[]): Refusal {
  if (error instanceof ApiError && error.status === 429) {
    return { whole: t('account.tooMany', { seconds: Math.ceil(error.retryAfterS ?? 60) }), fields: {} };
  }
  if (!(error instanceof ApiError)) return { whole: reason(error), fields: {} };
  const fields: Record<string, string> = {};
  for (const problem of error.fields)
    if (known.includes(problem.field)) fields[problem.field] = problem.message;
  if (fields.password && language() !== 'en') fields.password = t('account.weakPassword');
  if (error.param && known.includes(error.param)) fields[error.param] = reason(error);
  return { whole: Object.keys(fields).length > 0 ? null : reason(error), fields };
}
