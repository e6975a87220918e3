/** A turn one wants answered, and the request that asks for it. Pure. */
import type { Content, Entry } from '../api/types';
import { asInput, question, type AppendBody, type CompletionArgs, type StartBody } from './calls';
import { EntryTree } from './tree';

export interface Turn {
  content: Content | null;
  /** The entry the question hangs from; null is the root. */
  parent: string | null;
  /** Whether `parent` is said to the server, which otherwise goes on at its head. */
  branch: boolean;
  model?: string;
  key: string;
}

/** What a chat is set to. `id` null: it has not begun. */
interface Setting {
  id: string | null;
  temporary: boolean;
  model: string;
  instructions: string;
  args: CompletionArgs;
  projectId: string | null;
  /** As the server knows it, whose model another may stand in for. */
  about: { model: string } | null;
}

interface Asked {
  path: { conversation: string } | 'new';
  body: StartBody | AppendBody;
}

/** A chat that the server does not keep sends its past along each time; `entries` are those before the turn. */
export function asked(turn: Turn, chat: Setting, entries: readonly Entry[]): Asked {
  const inputs = turn.content === null ? [] : [question(turn.content)];
  if (chat.temporary || chat.id === null) {
    const past = chat.temporary ? new EntryTree(entries).path(turn.parent).map(asInput) : [];
    const body: StartBody = { inputs: [...past, ...inputs], model: turn.model ?? chat.model };
    if (chat.instructions.trim()) body.instructions = chat.instructions;
    if (Object.keys(chat.args).length) body.completion_args = chat.args;
    if (chat.temporary) body.store = false;
    else if (chat.projectId) body.project_id = chat.projectId;
    return { path: 'new', body };
  }
  const body: AppendBody = { inputs };
  if (turn.branch) body.from_entry_id = turn.parent ?? 'root';
  const model = turn.model ?? chat.model;
  if (turn.model || (chat.about && model !== chat.about.model)) body.model = model;
  return { path: { conversation: chat.id }, body };
}
