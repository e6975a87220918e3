/**
 * One block of Markdown to sanitised nodes. Knows the parser and what its HTML may contain; raw HTML in an answer is
 * shown as text, apart from a few marks without attributes that models like to write.
 */
import { Marked } from 'marked';
import { escapeHtml, formulaHtml, mathsExtension } from './maths';
import { sanitise } from './sanitise';

const SIMPLE_MARK = /<(\/?(?:br|sub|sup|kbd|mark|u|b|i|em|strong|s|del|ins|small)) ?\/?>/gi;
/** Beyond this a block is shown as plain text: no parser may hold the page up. */
const LONGEST_BLOCK = 120_000;

const parser = new Marked(
  {
    gfm: true,
    breaks: false,
    renderer: {
      html({ text }) {
        let out = '';
        let at = 0;
        for (const found of text.matchAll(SIMPLE_MARK)) {
          out += `${escapeHtml(text.slice(at, found.index))}<${found[1]}>`;
          at = found.index + found[0].length;
        }
        return out + escapeHtml(text.slice(at));
      },
      checkbox({ checked }) {
        return checked ? '☑ ' : '☐ ';
      },
      link({ href, title, tokens }) {
        const words = this.parser.parseInline(tokens);
        if (!/^(?:https?:\/\/|mailto:)/i.test(href)) return words;
        return `<a href="${escapeHtml(href)}"${title ? ` title="${escapeHtml(title)}"` : ''}>${words}</a>`;
      },
      image({ href, text }) {
        return `<img src="${escapeHtml(href)}" alt="${escapeHtml(text)}">`;
      },
    },
  },
  mathsExtension,
);

export function markdownHtml(text: string): string {
  if (text.length > LONGEST_BLOCK) return plain(text);
  try {
    return parser.parse(text, { async: false });
  } catch {
    // Nesting deep enough to exhaust the parser's stack.
    return plain(text);
  }
}

function plain(text: string): string {
  return `<pre>${escapeHtml(text)}</pre>`;
}

/**
 * One line of words and stops, which mean only themselves. Most answers begin so, and parser and sanitiser would be the
 * larger part of the time to their first word.
 */
const WORDS = /^\p{L}[\p{L}\p{M}\p{N} ,.;:?!'"()’“”«»…–—-]*$/u;
const ADDRESS = /www\./i;

function wordsAlone(text: string): DocumentFragment | null {
  if (!WORDS.test(text) || ADDRESS.test(text)) return null;
  const paragraph = document.createElement('p');
  paragraph.textContent = text;
  const fragment = document.createDocumentFragment();
  // The line end stands where the parser would write it, so that more words change this paragraph and nothing else.
  fragment.append(paragraph, '\n');
  return fragment;
}

/** Nodes for a block. `definitions` are the lines of the reference links it may name. */
export function renderMarkdown(text: string, definitions: readonly string[] = []): DocumentFragment {
  const paragraph = definitions.length === 0 ? wordsAlone(text) : null;
  if (paragraph) return paragraph;
  return sanitise(markdownHtml(definitions.length ? `${text}\n\n${definitions.join('\n')}` : text));
}

export function renderFormula(source: string): DocumentFragment {
  return sanitise(formulaHtml({ source: source.trim(), display: true }));
}

/** Those definitions that a text names: `[words][label]` or `[label]`. */
export function definitionsFor(text: string, known: ReadonlyMap<string, string>): string[] {
  if (known.size === 0 || !text.includes('[')) return [];
  const lower = text.toLowerCase();
  return [...known].filter(([label]) => lower.includes(`[${label}]`)).map(([, line]) => line);
}
