/**
 * Files on their way into a question: which are taken, how large they may be, and the chunks they become. Knows the
 * server's limits; the server checks them again.
 */
import type { Chunk } from '../api/types';

export const MOST_FILES = 10;
export const LARGEST_TEXT_BYTES = 1_000_000;
export const LARGEST_IMAGE_BYTES = 8_000_000;

const IMAGE = /^image\/(?:png|jpeg|gif|webp)$/;
const TEXT_TYPE = /^(?:text\/|application\/(?:json|xml|x-yaml|yaml|toml|javascript|x-sh|sql|x-ndjson|csv))/;
const TEXT_ENDING =
  /\.(?:txt|md|markdown|csv|tsv|json|jsonl|ndjson|xml|html?|css|scss|js|mjs|cjs|ts|tsx|jsx|svelte|vue|py|ipynb|rb|rs|go|java|kt|scala|c|h|cc|cpp|hpp|cs|swift|php|pl|lua|r|jl|hs|sql|sh|bash|zsh|ps1|bat|ya?ml|toml|ini|cfg|conf|env|log|tex|bib|rst|adoc|org|diff|patch|dockerfile|makefile|gradle|proto|graphql|srt|vtt)$/i;

/** What the file picker offers. */
export const ACCEPTED =
  'image/png,image/jpeg,image/gif,image/webp,text/*,.md,.csv,.json,.jsonl,.xml,.yaml,.yml,.toml,.ini,.log,.py,.js,.ts,.tsx,.jsx,.svelte,.vue,.rs,.go,.java,.kt,.c,.h,.cpp,.cs,.rb,.php,.sql,.sh,.tex,.diff';

export type Refusal =
  'unknownKind' | 'textTooLarge' | 'imageTooLarge' | 'noVision' | 'tooMany' | 'notText' | 'unreadable';

export interface Attachment {
  id: string;
  name: string;
  size: number;
  kind: 'image' | 'text';
  /** A data: address; pictures show it, too. */
  data: string;
}

export function kindOf(file: { name: string; type: string }): Attachment['kind'] | null {
  if (IMAGE.test(file.type)) return 'image';
  if (
    TEXT_TYPE.test(file.type) ||
    TEXT_ENDING.test(file.name) ||
    /^(?:dockerfile|makefile|readme|licen[cs]e)$/i.test(file.name)
  )
    return 'text';
  return null;
}

/** Why a file is not taken, before a byte of it is read; null when it may come. */
export function refusal(
  file: { name: string; type: string; size: number },
  present: number,
  vision: boolean,
): Refusal | null {
  const kind = kindOf(file);
  if (present >= MOST_FILES) return 'tooMany';
  if (kind === null) return 'unknownKind';
  if (kind === 'image' && !vision) return 'noVision';
  if (kind === 'image' && file.size > LARGEST_IMAGE_BYTES) return 'imageTooLarge';
  if (kind === 'text' && file.size > LARGEST_TEXT_BYTES) return 'textTooLarge';
  return null;
}

export function base64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 0x8000)
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

/** Reads a file that was not refused. A text file is sent as UTF-8; bytes that are no text are a refusal. */
export async function attach(file: File): Promise<Attachment | Refusal> {
  const kind = kindOf(file);
  if (!kind) return 'unknownKind';
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await file.arrayBuffer());
  } catch {
    return 'unreadable';
  }
  if (kind === 'text' && !isText(bytes)) return 'notText';
  const type = kind === 'image' ? file.type : 'text/plain';
  return {
    id: crypto.randomUUID(),
    name: file.name,
    size: file.size,
    kind,
    data: `data:${type};base64,${base64(bytes)}`,
  };
}

export function isText(bytes: Uint8Array): boolean {
  try {
    return !new TextDecoder('utf-8', { fatal: true }).decode(bytes).includes('\u0000');
  } catch {
    return false;
  }
}

/** The content of a question with its attachments: plain words where there are none. */
export function contentOf(text: string, attachments: readonly Attachment[]): string | Chunk[] {
  if (attachments.length === 0) return text;
  const chunks: Chunk[] = text ? [{ type: 'text', text }] : [];
  for (const one of attachments) {
    if (one.kind === 'image') chunks.push({ type: 'image_url', image_url: one.data });
    else chunks.push({ type: 'document_url', document_url: one.data, document_name: one.name });
  }
  return chunks;
}
