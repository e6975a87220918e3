/** Where a search hit leads: to the conversation, and in it to the entry whose words were found. */
import type { SearchHit } from '../api/types';

export function pathOf(hit: SearchHit): string {
  const entry = hit.entry_id === null ? '' : `#${encodeURIComponent(hit.entry_id)}`;
  return `/chat/${encodeURIComponent(hit.conversation_id)}${entry}`;
}
