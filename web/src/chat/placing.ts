/** A turn's entries before the server has named them, and after: names of our own first, then the given ones. Pure. */
import type { Content, ConversationEvent, Entry } from '../api/types';

export interface Placed {
  asked: string | null;
  answer: string;
}

/** The question, if there is one, and the answer about to be written. */
export function placedEntries(
  content: Content | null,
  parent: string | null,
  model: string,
): { placed: Placed; added: Entry[] } {
  const created_at = new Date().toISOString();
  const answer = `local-${crypto.randomUUID()}`;
  const begun: Entry = {
    id: answer,
    type: 'message.output',
    role: 'assistant',
    content: '',
    created_at,
    parent_id: parent,
    status: 'running',
    model,
  };
  if (content === null) return { placed: { asked: null, answer }, added: [begun] };
  const asked = `local-${crypto.randomUUID()}`;
  const question: Entry = {
    id: asked,
    type: 'message.input',
    role: 'user',
    content,
    created_at,
    parent_id: parent,
    status: 'done',
  };
  return { placed: { asked, answer }, added: [question, { ...begun, parent_id: asked }] };
}

/** Our names and the server's for the same entries. */
export function givenNames(
  event: Extract<ConversationEvent, { type: 'conversation.response.started' }>,
  placed: Placed,
): Map<string, string> {
  const names = new Map<string, string>();
  const asked = event.input_entry_ids.at(-1);
  if (placed.asked && asked) names.set(placed.asked, asked);
  if (event.output_entry_id) names.set(placed.answer, event.output_entry_id);
  return names;
}

export function renamed(entries: readonly Entry[], names: ReadonlyMap<string, string>): Entry[] {
  return entries.map((entry) => {
    const id = names.get(entry.id) ?? entry.id;
    const parent = entry.parent_id ?? null;
    const parent_id = parent === null ? null : (names.get(parent) ?? parent);
    return id === entry.id && parent_id === parent ? entry : { ...entry, id, parent_id };
  });
}
