/**
 * What the server says and takes, as written in the published API: `/web` (session, people, models, keys, usage) and
 * the parts of `/v1` the client uses. Times are ISO 8601 in UTC.
 */

export type Language = 'en' | 'fr';
export type ThemeChoice = 'light' | 'dark';
export type Role = 'administrator' | 'builder' | 'member';
export const ROLES: readonly Role[] = ['administrator', 'builder', 'member'];

// --- /web: session and people -------------------------------------------------------------------------------------

export interface Person {
  id: string;
  name: string;
  email: string;
  language: Language | null;
  theme: ThemeChoice | null;
}

export interface Workspace {
  id: string;
  name: string;
  role: Role;
}

export interface SignedOut {
  signed_in: false;
  first_start: boolean;
  version: string;
}

export interface SignedIn {
  signed_in: true;
  csrf: string;
  version: string;
  default_model: string;
  person: Person;
  workspace: Workspace;
  workspaces: Workspace[];
}

export type SessionAnswer = SignedOut | SignedIn;

export interface SessionRow {
  id: string;
  created_at: string;
  seen_at: string;
  agent: string | null;
  current: boolean;
}

export type InvitationKind = 'first_administrator' | 'invitation' | 'password_reset';

export interface InvitationLook {
  kind: InvitationKind;
  workspace_name: string | null;
  organisation_name: string | null;
  role: Role | null;
  email: string | null;
  expires_at: string | null;
}

export interface Member {
  id: string;
  name: string;
  email: string;
  role: Role;
  joined_at: string;
  seen_at: string | null;
}

export interface Invitation {
  id: string;
  email: string | null;
  role: Role;
  created_at?: string;
  expires_at: string;
}

export interface SecretLink {
  link_path: string;
  secret: string;
  expires_at: string;
}

// --- /web: models, keys, usage ------------------------------------------------------------------------------------

export type ModelState = 'absent' | 'fetching' | 'installed' | 'loading' | 'loaded' | 'failed';

export interface Licence {
  name: string;
  kind: string;
  permits: string[] | string | null;
  summary?: string;
  url?: string;
  needs_acceptance: boolean;
  accepted_by: string | null;
  accepted_at: string | null;
}

export interface Fit {
  fits: boolean;
  reason: string | null;
  verdict?: 'fits' | 'tight' | 'does_not_fit';
  obstacle?: 'memory' | 'disk' | 'engine' | null;
  needed_bytes?: number | null;
  usable_bytes?: number;
}

export interface Model {
  name: string;
  aliases: string[];
  /** Those of them that this workspace has given. */
  own_aliases?: string[];
  family: string | null;
  description: string | null;
  good_for: string[] | string | null;
  licence: Licence;
  download_bytes: number | null;
  memory_bytes: number | null;
  context_tokens: number | null;
  capabilities: string[];
  source: string | null;
  /** The host of the server that answers, where it is not this machine. */
  served_at?: string | null;
  state: ModelState;
  parameters?: number | null;
  installed?: boolean;
  /** On the disk, of a fetch that was stopped or failed. */
  partial_bytes?: number | null;
  /** Open requests end before it goes. */
  unloading?: boolean;
  /** What went wrong last, in the server's words. */
  error?: string | null;
  fit: Fit;
  default: boolean;
}

export interface Machine {
  memory_bytes: number;
  available_bytes: number;
  cores: number;
  disk_free_bytes: number;
}

export interface ModelsAnswer {
  models: Model[];
  machine: Machine;
}

export interface PullProgress {
  name: string;
  stage: string;
  done_bytes: number | null;
  total_bytes: number | null;
}

export interface KeyRow {
  id: string;
  name: string;
  rights: string[];
  /** How it is recognised: its beginning. */
  shown?: string;
  created_at: string;
  revoked_at?: string | null;
  expires_at: string | null;
  /** Null: every model of the workspace. */
  models?: string[] | null;
  last_used_at?: string | null;
  requests_per_minute?: number | null;
  tokens_per_minute?: number | null;
  created_by?: string | null;
}

export interface NewKey extends KeyRow {
  secret: string;
}

export interface UsageRow {
  day?: string;
  model?: string;
  key?: string | null;
  key_name?: string | null;
  person?: string | null;
  person_name?: string | null;
  requests: number;
  prompt_tokens: number;
  cached_tokens: number;
  generated_tokens: number;
  queued_ms: number;
  compute_ms: number;
}

export interface UsageAnswer {
  rows: UsageRow[];
  total: UsageRow;
}

// --- /v1: conversations -------------------------------------------------------------------------------------------

export type TextChunk = { type: 'text'; text: string };
export type ThinkingChunk = { type: 'thinking'; thinking: TextChunk[] };
export type ImageChunk = { type: 'image_url'; image_url: string };
export type DocumentChunk = { type: 'document_url'; document_url: string; document_name: string };
export type Chunk = TextChunk | ThinkingChunk | ImageChunk | DocumentChunk;
export type Content = string | Chunk[];

export type EntryStatus = 'done' | 'running' | 'stopped' | 'interrupted' | 'failed';

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number } | null;
  tramontane?: {
    first_token_ms?: number | null;
    tokens_per_s?: number | null;
    cached_tokens?: number | null;
    finish_reason?: string | null;
  } | null;
}

export interface Entry {
  object?: string;
  id: string;
  type: string;
  role?: 'user' | 'assistant';
  content?: Content;
  created_at: string;
  completed_at?: string | null;
  parent_id?: string | null;
  status?: EntryStatus;
  error?: { message: string; code?: string | null } | string | null;
  model?: string | null;
  usage?: Usage | null;
}

export interface History {
  object?: string;
  conversation_id: string;
  head_entry_id?: string | null;
  entries: Entry[];
}

export interface Conversation {
  object?: string;
  id: string;
  name: string | null;
  description?: string | null;
  model: string;
  instructions?: string | null;
  completion_args?: Record<string, unknown> | null;
  metadata?: Record<string, unknown> | null;
  created_at: string;
  updated_at: string;
  preview?: string | null;
  pinned?: boolean;
  archived?: boolean;
  project_id?: string | null;
  running?: boolean;
}

export interface SearchHit {
  conversation_id: string;
  name: string | null;
  /** Null where the words stand in the conversation's name. */
  entry_id: string | null;
  snippet: { text: string; hit: boolean }[];
  updated_at: string;
}

export interface Project {
  id: string;
  name: string;
  instructions: string | null;
  created_at?: string;
  updated_at?: string;
}

export interface Shortcut {
  id: string;
  name: string;
  text: string;
}

export interface Share {
  share_id: string;
  path: string;
  created_at: string;
}

export interface SharedConversation {
  name: string | null;
  owner_name: string;
  created_at: string;
  entries: Entry[];
}

export type DocumentKind = 'markdown' | 'code' | 'html';

export interface DocumentVersion {
  version: number;
  content: string;
  author: 'person' | 'model';
  created_at: string;
}

export interface CanvasDocument {
  id: string;
  title: string;
  kind: DocumentKind;
  language?: string | null;
  entry_id?: string | null;
  version?: number;
  versions?: DocumentVersion[];
  updated_at?: string;
}

/** What is wrong with one conversation of an export, counted from 1. `message` is English, `code` can be said in any language. */
export interface ImportProblem {
  conversation: number;
  code: string;
  message: string;
  /** What was left behind: `tools`, `completion_args`, `metadata`. */
  settings?: string[];
  limit?: number;
}

export interface ImportResult {
  source: string;
  imported: number;
  skipped: number;
  problems: ImportProblem[];
}

// --- the stream of an answer: a closed set; what is not here is dropped by api/sse.ts --------------------------------

export type ConversationEvent =
  | {
      type: 'conversation.response.started';
      conversation_id: string;
      input_entry_ids: string[];
      output_entry_id: string | null;
    }
  | { type: 'message.output.delta'; id: string; model: string | null; content: string | Chunk }
  | { type: 'conversation.response.done'; usage: Usage | null }
  | { type: 'conversation.response.error'; message: string; code: string | null };
