/** Every call the chat makes, one line each, over the published API. Knows paths and shapes; keeps nothing. */
import { api, send, streamed } from '../api/client';
import { conversationEvent, type Frame } from '../api/sse';
import type {
  CanvasDocument,
  Content,
  Conversation,
  ConversationEvent,
  DocumentKind,
  Entry,
  History,
  ImportResult,
  Project,
  SearchHit,
  Share,
  SharedConversation,
  Shortcut,
} from '../api/types';

export type CompletionArgs = Record<string, unknown>;

export interface InputEntry {
  object: 'entry';
  type: 'message.input' | 'message.output';
  role: 'user' | 'assistant';
  content: Content;
}

export interface StartBody {
  inputs: InputEntry[];
  model: string;
  instructions?: string;
  completion_args?: CompletionArgs;
  store?: boolean;
  project_id?: string;
}

export interface AppendBody {
  inputs: InputEntry[];
  from_entry_id?: string;
  model?: string;
}

export interface Change {
  name?: string;
  pinned?: boolean;
  archived?: boolean;
  project_id?: string | null;
  head_entry_id?: string;
  model?: string;
  instructions?: string | null;
  completion_args?: CompletionArgs | null;
}

export interface ListQuery {
  page?: number;
  page_size?: number;
  archived?: boolean;
  project_id?: string;
}

const V1 = '/v1/conversations';
const at = (id: string, rest = '') => `${V1}/${encodeURIComponent(id)}${rest}`;

/** Asks at once, before anybody reads what comes. */
export function answer(
  path: { conversation: string } | 'new',
  body: StartBody | AppendBody,
  key: string,
  signal: AbortSignal,
): AsyncGenerator<ConversationEvent> {
  const address = path === 'new' ? V1 : at(path.conversation);
  const headers = { 'idempotency-key': key };
  return eventsOf(streamed('POST', address, { ...body, stream: true }, { signal, headers }));
}

async function* eventsOf(frames: AsyncGenerator<Frame>): AsyncGenerator<ConversationEvent> {
  for await (const frame of frames) {
    const event = conversationEvent(frame);
    if (event) yield event;
  }
}

export const conversations = {
  list: (query: ListQuery = {}) => api.get<Conversation[]>(V1, { query: { page_size: 60, ...query } }),
  get: (id: string) => api.get<Conversation>(at(id)),
  history: (id: string, signal?: AbortSignal) =>
    api.get<History>(at(id, '/history'), { query: { tree: true }, signal }),
  change: (id: string, change: Change) => api.patch<Conversation>(at(id), change),
  remove: (id: string, options: { keepalive?: boolean } = {}) => api.delete<unknown>(at(id), options),
  stop: (id: string) => api.post<unknown>(at(id, '/stop')),
  search: (q: string, signal?: AbortSignal) =>
    api.get<SearchHit[]>(`${V1}/search`, { query: { q, page_size: 40 }, signal }),
  exported: async (id: string, format: 'markdown' | 'json') =>
    (await send('GET', at(id, '/export'), undefined, { query: { format } })).blob(),
  exportedAll: async () => (await send('GET', `${V1}/export`)).blob(),
  imported: (file: Blob) => api.post<ImportResult>(`${V1}/import`, file),
};

export const shares = {
  make: (id: string) => api.post<Share>(at(id, '/shares')),
  list: (id: string) => api.get<Share[]>(at(id, '/shares')),
  revoke: (share: string) => api.delete<unknown>(`/v1/shares/${encodeURIComponent(share)}`),
  read: (share: string) => api.get<SharedConversation>(`/v1/shares/${encodeURIComponent(share)}`),
};

export const projects = {
  list: () => api.get<Project[]>('/v1/projects'),
  make: (name: string, instructions: string) => api.post<Project>('/v1/projects', { name, instructions }),
  change: (id: string, change: { name?: string; instructions?: string }) =>
    api.patch<Project>(`/v1/projects/${encodeURIComponent(id)}`, change),
  remove: (id: string) => api.delete<unknown>(`/v1/projects/${encodeURIComponent(id)}`),
};

export const shortcuts = {
  list: () => api.get<Shortcut[]>('/v1/shortcuts'),
  make: (name: string, text: string) => api.post<Shortcut>('/v1/shortcuts', { name, text }),
  change: (id: string, change: { name?: string; text?: string }) =>
    api.patch<Shortcut>(`/v1/shortcuts/${encodeURIComponent(id)}`, change),
  remove: (id: string) => api.delete<unknown>(`/v1/shortcuts/${encodeURIComponent(id)}`),
};

export interface NewDocument {
  title: string;
  kind: DocumentKind;
  language?: string;
  content: string;
  entry_id?: string;
}

export const documents = {
  list: (id: string) => api.get<CanvasDocument[]>(at(id, '/documents')),
  get: (id: string, doc: string) => api.get<CanvasDocument>(at(id, `/documents/${encodeURIComponent(doc)}`)),
  make: (id: string, document: NewDocument) => api.post<CanvasDocument>(at(id, '/documents'), document),
  rename: (id: string, doc: string, title: string) =>
    api.patch<CanvasDocument>(at(id, `/documents/${encodeURIComponent(doc)}`), { title }),
  remove: (id: string, doc: string) => api.delete<unknown>(at(id, `/documents/${encodeURIComponent(doc)}`)),
  add: (
    id: string,
    doc: string,
    version: { content: string; author: 'person' | 'model'; base_version: number },
  ) => api.post<CanvasDocument>(at(id, `/documents/${encodeURIComponent(doc)}/versions`), version),
};

export function question(content: Content): InputEntry {
  return { object: 'entry', type: 'message.input', role: 'user', content };
}

/** An entry as input, for chats that the server does not keep. Thinking is not sent back as words. */
export function asInput(entry: Entry): InputEntry {
  const assistant = entry.type === 'message.output' || entry.role === 'assistant';
  return {
    object: 'entry',
    type: assistant ? 'message.output' : 'message.input',
    role: assistant ? 'assistant' : 'user',
    content: entry.content ?? '',
  };
}
