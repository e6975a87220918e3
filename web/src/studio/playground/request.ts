/** What the playground sends: the form's parts become one request body, the same for the server and for the code tab. */
import type { CompletionArgs } from '../../chat/calls';

export type Role = 'system' | 'user' | 'assistant';
export type Format = 'text' | 'json_object' | 'json_schema';

export interface Turn {
  id: number;
  role: Role;
  content: string;
}

export interface Ask {
  turns: readonly Turn[];
  /** Temperature and so on; absent ones are left to the model. */
  args: CompletionArgs;
  format: Format;
  /** JSON text, for `json_schema`. */
  schema: string;
}

export interface RequestBody extends Record<string, unknown> {
  model: string;
  messages: { role: Role; content: string }[];
  stream?: boolean;
}

export class NotJson extends Error {}

const ARGS = ['temperature', 'top_p', 'max_tokens', 'random_seed'] as const;

/** The body for one model. Throws NotJson when the schema is no JSON object. */
export function bodyFor(ask: Ask, model: string): RequestBody {
  const body: RequestBody = {
    model,
    messages: ask.turns
      .filter((turn) => turn.content.trim() !== '')
      .map(({ role, content }) => ({ role, content })),
  };
  for (const name of ARGS) if (ask.args[name] !== undefined) body[name] = ask.args[name];
  if (ask.format === 'json_object') body.response_format = { type: 'json_object' };
  if (ask.format === 'json_schema') {
    const schema = parsedSchema(ask.schema);
    body.response_format = { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } };
  }
  return body;
}

export function parsedSchema(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new NotJson(error instanceof Error ? error.message : String(error));
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new NotJson('{ … }');
  return value as Record<string, unknown>;
}
