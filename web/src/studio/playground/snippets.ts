/**
 * The request as code that sends exactly it: curl, and the official Mistral and OpenAI libraries in Python and
 * TypeScript. Pure. Every value is written by a literal writer of its language, so no text can break out of its string.
 */
import type { RequestBody } from './request';

export const LANGUAGES = [
  'curl',
  'mistral-python',
  'openai-python',
  'mistral-typescript',
  'openai-typescript',
] as const;
export type SnippetLanguage = (typeof LANGUAGES)[number];

/** For highlighting. */
export const GRAMMAR: Record<SnippetLanguage, string> = {
  curl: 'bash',
  'mistral-python': 'python',
  'openai-python': 'python',
  'mistral-typescript': 'typescript',
  'openai-typescript': 'typescript',
};

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export function snippet(language: SnippetLanguage, body: RequestBody, origin: string): string {
  const { stream: _, ...plain } = body;
  const asked = plain as { [name: string]: Json };
  switch (language) {
    case 'curl':
      return curl({ ...asked, stream: true }, origin);
    case 'mistral-python':
      return mistralPython(asked, origin);
    case 'openai-python':
      return openaiPython(asked, origin);
    case 'mistral-typescript':
      return mistralTypescript(asked, origin);
    case 'openai-typescript':
      return openaiTypescript(asked, origin);
  }
}

function curl(body: Json, origin: string): string {
  return [
    `curl -N ${shell(`${origin}/v1/chat/completions`)} \\`,
    '  -H "Authorization: Bearer $TRAMONTANE_API_KEY" \\',
    "  -H 'Content-Type: application/json' \\",
    `  -d ${shell(JSON.stringify(body, null, 2))}`,
  ].join('\n');
}

function mistralPython(body: { [name: string]: Json }, origin: string): string {
  return [
    'import os',
    '',
    'from mistralai.client import Mistral',
    '',
    `client = Mistral(api_key=os.environ["TRAMONTANE_API_KEY"], server_url=${python(origin)})`,
    'stream = client.chat.stream(',
    ...pythonArguments(body),
    ')',
    'for event in stream:',
    '    print(event.data.choices[0].delta.content or "", end="", flush=True)',
  ].join('\n');
}

function openaiPython(body: { [name: string]: Json }, origin: string): string {
  return [
    'import os',
    '',
    'from openai import OpenAI',
    '',
    `client = OpenAI(api_key=os.environ["TRAMONTANE_API_KEY"], base_url=${python(`${origin}/openai/v1`)})`,
    'stream = client.chat.completions.create(',
    ...pythonArguments(seeded(body)),
    '    stream=True,',
    ')',
    'for chunk in stream:',
    '    if chunk.choices:',
    '        print(chunk.choices[0].delta.content or "", end="", flush=True)',
  ].join('\n');
}

function mistralTypescript(body: { [name: string]: Json }, origin: string): string {
  return [
    "import { Mistral } from '@mistralai/mistralai';",
    '',
    'const client = new Mistral({',
    '  apiKey: process.env.TRAMONTANE_API_KEY,',
    `  serverURL: ${JSON.stringify(origin)},`,
    '});',
    `const stream = await client.chat.stream(${typescript(camel(body), 0)});`,
    'for await (const event of stream) {',
    "  process.stdout.write(String(event.data.choices[0]?.delta.content ?? ''));",
    '}',
  ].join('\n');
}

function openaiTypescript(body: { [name: string]: Json }, origin: string): string {
  return [
    "import OpenAI from 'openai';",
    '',
    'const client = new OpenAI({',
    '  apiKey: process.env.TRAMONTANE_API_KEY,',
    `  baseURL: ${JSON.stringify(`${origin}/openai/v1`)},`,
    '});',
    `const stream = await client.chat.completions.create(${typescript({ ...seeded(body), stream: true }, 0)});`,
    'for await (const chunk of stream) {',
    "  process.stdout.write(chunk.choices[0]?.delta?.content ?? '');",
    '}',
  ].join('\n');
}

/** OpenAI's name for the seed. */
function seeded(body: { [name: string]: Json }): { [name: string]: Json } {
  const { random_seed: seed, ...rest } = body;
  return seed === undefined ? rest : { ...rest, seed };
}

/** The TypeScript library writes its own fields in camel case; what is the caller's (a schema) stays as it is. */
function camel(body: { [name: string]: Json }): { [name: string]: Json } {
  const out: { [name: string]: Json } = {};
  for (const [name, value] of Object.entries(body)) {
    const written = name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
    out[written] = name === 'response_format' ? camelFormat(value as { [name: string]: Json }) : value;
  }
  return out;
}

function camelFormat(format: { [name: string]: Json }): Json {
  const inner = format.json_schema as { [name: string]: Json } | undefined;
  if (!inner) return format;
  const { schema, ...rest } = inner;
  return { type: format.type!, jsonSchema: { ...rest, schemaDefinition: schema! } };
}

/** One word of a shell, whatever stands in it. */
export function shell(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function pythonArguments(body: { [name: string]: Json }): string[] {
  return Object.entries(body).map(([name, value]) => `    ${name}=${python(value, 1)},`);
}

/** A Python literal. JSON's strings are Python's too, once its escapes for halves of characters are gone. */
export function python(value: Json, depth = 0): string {
  if (value === null) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (typeof value === 'string') return JSON.stringify(value.replace(/\p{Surrogate}/gu, '\ufffd'));
  if (typeof value === 'number') return String(value);
  return nested(value, depth, 4, python, (name) => python(name));
}

function typescript(value: Json, depth: number): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return nested(value, depth, 2, typescript, (name) =>
    /^[a-z]\w*$/i.test(name) ? name : JSON.stringify(name),
  );
}

function nested(
  value: Json[] | { [name: string]: Json },
  depth: number,
  indent: number,
  write: (value: Json, depth: number) => string,
  key: (name: string) => string,
): string {
  const list = Array.isArray(value);
  const parts = list
    ? value.map((one) => write(one, depth + 1))
    : Object.entries(value).map(([name, one]) => `${key(name)}: ${write(one, depth + 1)}`);
  const [open, close] = list ? ['[', ']'] : ['{', '}'];
  if (parts.length === 0) return open + close;
  const flat = `${open}${parts.join(', ')}${close}`;
  if (flat.length <= 72 && !flat.includes('\n')) return flat;
  const pad = ' '.repeat(indent * (depth + 1));
  return `${open}\n${parts.map((part) => `${pad}${part},\n`).join('')}${' '.repeat(indent * depth)}${close}`;
}
