/**
 * Closes what the end of a streamed paragraph has left open, so that bold, code and links do not first appear as
 * marks and then jump. Only for the block still being written; a finished text is never touched.
 */

const CODE_SPAN = /(`+)(?:(?!\1)[\s\S])*?[^`]\1(?!`)/g;

function withoutCode(text: string): string {
  return text.replace(CODE_SPAN, (span) => '\u0000'.repeat(span.length)).replace(/\\[\s\S]/g, '\u0000\u0000');
}

function count(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}

/** The paragraph that holds the end: inline marks never reach over a blank line. */
function lastParagraph(text: string): number {
  const at = text.lastIndexOf('\n\n');
  return at < 0 ? 0 : at + 2;
}

export function mend(text: string): string {
  const from = lastParagraph(text);
  const head = text.slice(0, from);
  let tail = text.slice(from);
  let bare = withoutCode(tail);

  const tick = bare.lastIndexOf('`');
  if (tick >= 0) {
    const run = /`+$/.exec(bare.slice(0, tick + 1))?.[0] ?? '`';
    const content = tail.slice(tick + 1);
    return content.trim() === '' ? head + tail.slice(0, tick + 1 - run.length) : head + tail + run;
  }

  // An unfinished link shows its words; an unfinished picture shows nothing yet.
  const link = /(!?)\[([^[\]\n]*)(?:\](?:\([^()\n]*)?)?$/.exec(bare);
  if (link && !/^\[[ xX]?\]?$/.test(link[0])) {
    const label = tail.slice(
      link.index + (link[1]?.length ?? 0) + 1,
      link.index + (link[1]?.length ?? 0) + 1 + (link[2]?.length ?? 0),
    );
    tail = tail.slice(0, link.index) + (link[1] ? '' : label);
    bare = withoutCode(tail);
  }

  const trailing = /(?:\*+|_+|~+)$/.exec(bare);
  if (trailing && /(?:^|\s)$/.test(bare.slice(0, trailing.index))) {
    tail = tail.slice(0, trailing.index);
    bare = withoutCode(tail);
  }
  return head + tail + closing(bare);
}

function closing(bare: string): string {
  let marks = '';
  const single = bare.replace(/\*\*/g, '').replace(/^[ \t]*\*[ \t]/gm, '');
  if (count(single, /\*/g) % 2 === 1 && /\*\S/.test(single)) marks += '*';
  if (count(bare, /\*\*/g) % 2 === 1) marks += '**';
  if (count(bare, /~~/g) % 2 === 1) marks += '~~';
  return marks && /\s$/.test(bare) ? '' : marks;
}
