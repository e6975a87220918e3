/** Words between canvas and model: how a change is asked for, and which part of an answer is the new version. Pure. */
import type { DocumentKind } from '../api/types';
import { BlockScanner } from '../markdown/blocks';
import { labelOf, languageOf } from '../markdown/languages';

export function kindOf(label: string): DocumentKind {
  if (label === 'html' || label === 'svg') return 'html';
  return label === '' || label === 'md' || label === 'markdown' || label === 'text' ? 'markdown' : 'code';
}

/** A fence that nothing inside can close. */
export function fenced(content: string, label: string): string {
  let longest = 2;
  for (const run of content.matchAll(/`+/g)) longest = Math.max(longest, run[0].length);
  const fence = '`'.repeat(longest + 1);
  return `${fence}${label}\n${content}\n${fence}`;
}

/**
 * The new version in an answer: its largest block of code in the document's language, or its largest at all; for a text
 * that came without a fence, the answer itself. Null when there is none.
 */
export function newVersion(answer: string, kind: DocumentKind, label: string): string | null {
  const code = new BlockScanner()
    .read(answer)
    .filter((block) => block.kind === 'code' && block.text.trim() !== '');
  const same = code.filter((block) => sameLanguage(labelOf(block.info), label, kind));
  const largest = (same.length ? same : code).reduce(
    (best, block) => (block.text.length > best.length ? block.text : best),
    '',
  );
  if (largest) return largest;
  return kind === 'markdown' && answer.trim() !== '' ? answer.trim() : null;
}

function sameLanguage(found: string, wanted: string, kind: DocumentKind): boolean {
  if (kind === 'markdown') return kindOf(found) === 'markdown';
  return found === wanted || (languageOf(found) !== null && languageOf(found) === languageOf(wanted));
}

/** A name for a new document: its first heading or its title, else the given words. */
export function titleFor(content: string, kind: DocumentKind, otherwise: string): string {
  const found =
    kind === 'html'
      ? /<(?:title|h1)[^>]*>([^<]{1,200})</i.exec(content)
      : kind === 'markdown'
        ? /^#{1,3}[ \t]+(.{1,200})$/m.exec(content)
        : null;
  return (
    (found?.[1] ?? '')
      .replace(/[*_`#]/g, '')
      .trim()
      .slice(0, 100) || otherwise
  );
}
