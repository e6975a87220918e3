/** What the codes of the server's refusals are in the words of the page. Knows codes; the server's sentences it leaves alone. */
import { language, translated } from './index.svelte';

/**
 * Codes of many cases, whose sentence from the server names what a person needs: a model, a file, a number, a reason. That
 * sentence is English, and where the page is English too it is the better one.
 */
const NAMING = new Set([
  'being_fetched',
  'checksum_mismatch',
  'conflict',
  'context_length_exceeded',
  'document_full',
  'engine_failed',
  'export_too_large',
  'forbidden',
  'insufficient_quota',
  'model_file_damaged',
  'model_file_refused',
  'model_not_found',
  'model_unavailable',
  'name_taken',
  'model_not_permitted',
  'no_engine',
  'not_found',
  'out_of_memory',
  'overloaded',
  'rate_limit_exceeded',
  'source_failed',
  'stopping',
  'storage_failed',
  'storage_full',
  'too_large',
  'too_many_waiting',
  'unsupported_media_type',
  'zip_unreadable',
]);

/** The page's own sentence; null where it has none, or the server's says more in the same language. */
export function refusalWords(code: string | null | undefined): string | null {
  if (!code || (language() === 'en' && NAMING.has(code))) return null;
  return translated(`common.error.${code}`);
}
