/** The name that the server gives a conversation some time after its first answer. Knows the list, which shows it first. */
import { list } from './list.svelte';
import { sleep } from './sleep';

const LOOKS_MS = [1500, 4000, 10_000];

/** The new name, once the list has one; null when it has one already, has left, or none comes. */
export async function awaitedName(
  id: string,
  present: () => string | null | undefined,
  left: AbortSignal,
): Promise<string | null> {
  for (const wait of LOOKS_MS) {
    const name = list.items.find((one) => one.id === id)?.name;
    if (name && name !== present()) return name;
    if (present()) return null;
    await sleep(wait);
    if (left.aborted) return null;
    await list.refresh();
  }
  return null;
}
