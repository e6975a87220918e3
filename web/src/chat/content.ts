/** What an entry says, taken apart: words, thinking, pictures, files. Pure. */
import type { Chunk, Content, DocumentChunk, Entry, ImageChunk } from '../api/types';

export interface Spoken {
  text: string;
  thinking: string;
  images: ImageChunk[];
  files: DocumentChunk[];
}

export function spoken(content: Content | undefined): Spoken {
  const said: Spoken = { text: '', thinking: '', images: [], files: [] };
  if (typeof content === 'string') return { ...said, text: content };
  for (const chunk of content ?? []) add(said, chunk);
  return said;
}

function add(said: Spoken, chunk: Chunk): void {
  if (chunk.type === 'text') said.text += chunk.text;
  else if (chunk.type === 'thinking') said.thinking += thoughts(chunk.thinking);
  else if (chunk.type === 'image_url')
    said.images.push({ type: 'image_url', image_url: address(chunk.image_url) });
  else if (chunk.type === 'document_url') said.files.push(chunk);
}

/** Programs may write thoughts as one text, and pictures as `{url}`; both are kept as they came. */
function thoughts(written: unknown): string {
  if (typeof written === 'string') return written;
  return Array.isArray(written) ? written.map((part: { text?: string }) => part.text ?? '').join('') : '';
}

function address(written: unknown): string {
  const url = typeof written === 'string' ? written : (written as { url?: unknown } | null)?.url;
  return typeof url === 'string' ? url : '';
}

/** Only pictures that came along as data are ever shown; nothing is fetched. */
export function ownImage(address: string): boolean {
  return /^data:image\/(?:png|jpeg|gif|webp|avif);base64,/i.test(address);
}

export function errorText(entry: Entry): string {
  if (!entry.error) return '';
  return typeof entry.error === 'string' ? entry.error : entry.error.message;
}

/** What an edit sends: the new words with the old attachments. */
export function withText(content: Content | undefined, text: string): Content {
  const kept =
    typeof content === 'string' || !content
      ? []
      : content.filter((chunk) => chunk.type !== 'text' && chunk.type !== 'thinking');
  return kept.length ? [{ type: 'text', text }, ...kept] : text;
}
