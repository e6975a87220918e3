/**
 * Maths inside Markdown: finds `$…$`, `$$…$$`, `\(…\)` and `\[…\]` and has KaTeX write MathML once it is there.
 * KaTeX is fetched only when a formula appears; until then the formula stands as its source.
 */
import type { MarkedExtension, Tokens } from 'marked';

export interface Formula {
  source: string;
  display: boolean;
}

type Katex = { renderToString(source: string, options: Record<string, unknown>): string };

let katex: Katex | null = null;
let arriving: Promise<void> | null = null;

export function mathsReady(): boolean {
  return katex !== null;
}

/** Fetches KaTeX once; a failed fetch may be tried again. */
export function fetchMaths(): Promise<void> {
  arriving ??= import('katex').then(
    (module) => {
      katex = module.default as unknown as Katex;
    },
    () => {
      arriving = null;
    },
  );
  return arriving;
}

/** Cheap look, so that a price list with two dollar signs does not fetch a maths library. */
export function holdsMaths(text: string): boolean {
  return /\$\$|\\\(|\\\[/.test(text) || INLINE_ANYWHERE.test(text);
}

// A dollar opens a formula before a non-space and closes it after a non-space and not before a digit, so that
// "$5 and $6" stays money.
const INLINE = /^\$(?![\s$])((?:\\[\s\S]|[^\\$\n])*?(?:\\[\s\S]|[^\\$\s]))\$(?![\d$])/;
const INLINE_ANYWHERE = /(?:^|[^\\$])\$(?![\s$])(?:\\.|[^\\$\n])*?(?:\\.|[^\\$\s])\$(?![\d$])/;
const DISPLAY = /^\$\$(?!\$)([\s\S]+?)\$\$/;
const ROUND = /^\\\(([\s\S]+?)\\\)/;
const SQUARE = /^\\\[([\s\S]+?)\\\]/;

export function formulaAt(text: string): (Formula & { raw: string }) | null {
  for (const [pattern, display] of [
    [DISPLAY, true],
    [SQUARE, true],
    [ROUND, false],
    [INLINE, false],
  ] as const) {
    const found = pattern.exec(text);
    if (found?.[1] && !found[1].includes('\n\n')) return { raw: found[0], source: found[1].trim(), display };
  }
  return null;
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** MathML for a formula, or its source as code while KaTeX is absent or when it is not valid LaTeX. */
export function formulaHtml(formula: Formula): string {
  const wrapper = formula.display ? 'maths-display' : 'maths';
  if (katex && formula.source.length <= 5000) {
    try {
      const options = {
        displayMode: formula.display,
        output: 'mathml',
        throwOnError: true,
        trust: false,
        strict: 'ignore',
        maxSize: 20,
        maxExpand: 200,
      };
      return `<span class="${wrapper}">${katex.renderToString(formula.source, options)}</span>`;
    } catch {
      // Not valid LaTeX (or not yet): the source below says more than an error would.
    }
  }
  return `<span class="${wrapper}"><code class="maths-source">${escapeHtml(formula.source)}</code></span>`;
}

export const mathsExtension: MarkedExtension = {
  extensions: [
    {
      name: 'maths',
      level: 'inline',
      start(source: string) {
        const at = source.search(/\$|\\[([]/);
        return at < 0 ? undefined : at;
      },
      tokenizer(source: string): Tokens.Generic | undefined {
        const found = formulaAt(source);
        return found
          ? { type: 'maths', raw: found.raw, source: found.source, display: found.display }
          : undefined;
      },
      renderer(token) {
        return formulaHtml({ source: String(token.source), display: Boolean(token.display) });
      },
    },
  ],
};
