/**
 * Coloured code as plain data: pairs of a class and a text. Knows how to read the highlighter's own HTML (spans and
 * escaped text, nothing else) and how to paint pairs into an element without ever writing HTML.
 */

export type Run = readonly [style: string, text: string];

const ENTITIES: Record<string, string> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#x27;': "'",
  '&#39;': "'",
};
const PIECE = /<span class="([\w\- ]*)">|<\/span>|[^<]+/g;

export function runsOf(html: string): Run[] {
  const runs: Run[] = [];
  const open: string[] = [];
  for (const found of html.matchAll(PIECE)) {
    if (found[0] === '</span>') open.pop();
    else if (found[1] !== undefined) open.push(styleOf(found[1]));
    else
      push(
        runs,
        innermost(open),
        found[0].replace(/&(?:amp|lt|gt|quot|#x27|#39);/g, (entity) => ENTITIES[entity] ?? entity),
      );
  }
  return runs;
}

function styleOf(names: string): string {
  const found = /hljs-([a-z_-]+)/.exec(names);
  return found?.[1] ? `hl-${found[1]}` : '';
}

function innermost(open: readonly string[]): string {
  for (let at = open.length - 1; at >= 0; at -= 1) if (open[at]) return open[at] ?? '';
  return '';
}

function push(runs: Run[], style: string, text: string): void {
  const last = runs[runs.length - 1];
  if (last && last[0] === style) runs[runs.length - 1] = [style, last[1] + text];
  else runs.push([style, text]);
}

function nodeFor([style, text]: Run): Node {
  if (!style) return document.createTextNode(text);
  const span = document.createElement('span');
  span.className = style;
  span.textContent = text;
  return span;
}

/** Paints runs; nodes that already say the same stay. `rest` is text that came after the runs were made. */
export function paintRuns(target: Element, runs: readonly Run[], rest: string): void {
  const wanted: Run[] = rest ? [...runs, ['', rest]] : [...runs];
  let at = 0;
  let node = target.firstChild;
  while (node && at < wanted.length && saysTheSame(node, wanted[at])) {
    node = node.nextSibling;
    at += 1;
  }
  while (node) {
    const after: ChildNode | null = node.nextSibling;
    node.remove();
    node = after;
  }
  target.append(...wanted.slice(at).map(nodeFor));
}

function saysTheSame(node: Node, run: Run | undefined): boolean {
  if (!run) return false;
  const style = node instanceof Element ? node.className : '';
  return style === run[0] && node.textContent === run[1];
}
