/** The list of conversations under headings: pinned, then by how long ago. Pure. */
import type { Conversation } from '../api/types';
import type { Key } from '../i18n/index.svelte';

export interface Group {
  key: string;
  label: Key;
  items: Conversation[];
}

const DAY_MS = 86_400_000;

export function grouped(items: readonly Conversation[], now: Date): Group[] {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const groups: Group[] = [
    { key: 'pinned', label: 'chat.pinned', items: [] },
    { key: 'today', label: 'chat.today', items: [] },
    { key: 'yesterday', label: 'chat.yesterday', items: [] },
    { key: 'week', label: 'chat.thisWeek', items: [] },
    { key: 'month', label: 'chat.thisMonth', items: [] },
    { key: 'older', label: 'chat.older', items: [] },
  ];
  for (const one of items) {
    const at = new Date(one.updated_at).getTime();
    const index = one.pinned
      ? 0
      : at >= midnight
        ? 1
        : at >= midnight - DAY_MS
          ? 2
          : at >= midnight - 7 * DAY_MS
            ? 3
            : at >= midnight - 30 * DAY_MS
              ? 4
              : 5;
    groups[index]?.items.push(one);
  }
  return groups.filter((group) => group.items.length > 0);
}
