/**
 * Splits Markdown that is still arriving into blocks, line by line and only forwards. Knows where a block may end;
 * knows nothing of inline Markdown or of HTML. A block that is finished never changes again, so only the last one
 * has to be parsed anew for each painted frame. Whatever the pieces the text came in, the blocks are the same.
 */

export type BlockKind = 'markdown' | 'code' | 'maths';

export interface Block {
  /** Position in the text, counted in blocks: stable while text is appended. */
  readonly id: number;
  readonly kind: BlockKind;
  /** Markdown source, the code without its fences, or the formula without its marks. */
  readonly text: string;
  /** What stands behind the opening fence, for code. */
  readonly info: string;
  readonly closed: boolean;
}

type Mode = 'none' | 'text' | 'indented' | 'list' | 'fence' | 'maths';

interface Fence {
  mark: string;
  length: number;
  indent: number;
}

interface State {
  mode: Mode;
  lines: string[];
  info: string;
  fence: Fence | null;
  mathsEnd: '$$' | '\\]';
  blank: boolean;
  ordered: boolean;
  offset: number;
}

const FENCE = /^( {0,3})(`{3,}|~{3,})([^\n]*)$/;
const HEADING = /^ {0,3}#{1,6}(?:[ \t]|$)/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const ITEM = /^( {0,3})(?:([-+*])|(\d{1,9})[.)])([ \t]+|$)/;
const QUOTE = /^ {0,3}>/;
const DEFINITION = /^ {0,3}\[([^\]\\]{1,200})\]:[ \t]*(\S+)/;

function start(): State {
  return {
    mode: 'none',
    lines: [],
    info: '',
    fence: null,
    mathsEnd: '$$',
    blank: false,
    ordered: false,
    offset: 2,
  };
}

function copyOf(state: State): State {
  return { ...state, lines: state.lines.slice() };
}

function indentOf(line: string): number {
  let width = 0;
  for (const character of line) {
    if (character === ' ') width += 1;
    else if (character === '\t') width += 4 - (width % 4);
    else break;
  }
  return width;
}

function openingFence(line: string): (Fence & { info: string }) | null {
  const found = FENCE.exec(line);
  if (!found) return null;
  const [, indent = '', marks = '', info = ''] = found;
  const mark = marks[0] ?? '`';
  if (mark === '`' && info.includes('`')) return null;
  return { mark, length: marks.length, indent: indent.length, info: info.trim() };
}

function closesFence(line: string, fence: Fence, deepest = 3): boolean {
  const text = line.trim();
  if (text.length < fence.length || indentOf(line) > deepest) return false;
  for (const character of text) if (character !== fence.mark) return false;
  return true;
}

function mathsOpening(line: string): '$$' | '\\]' | null {
  const text = line.trim();
  if (indentOf(line) > 3) return null;
  if (text.startsWith('\\[')) return text.includes('\\]') && !text.endsWith('\\]') ? null : '\\]';
  if (!text.startsWith('$$')) return null;
  const rest = text.slice(2);
  return rest === '' || !rest.includes('$$') || (rest.length > 2 && rest.indexOf('$$') === rest.length - 2)
    ? '$$'
    : null;
}

/** A line so short that the next character decides what it is: showing it at once would make the page flicker. */
export function undecided(line: string): boolean {
  return /^[ \t]*(?:-+|=+|\*{1,3}|_+|#{1,6}|`{1,3}|~{1,3}|\+|>|\\|\${1,2}|\d{1,9}[.)]?|[-+*] \[[ xX]?|\|[-:| \t]*)[ \t]*$/.test(
    line,
  );
}

export class BlockScanner {
  #settled: Block[] = [];
  #state = start();
  #carry = '';
  #text = '';
  #definitions = new Map<string, string>();

  /** The blocks of `text`. With `streaming` an undecided last line is held back. */
  read(text: string, streaming = false): readonly Block[] {
    // Comparing slices is many times as fast as startsWith, and this runs for every painted frame.
    if (text.slice(0, this.#text.length) !== this.#text) this.#restart();
    this.#take(text.slice(this.#text.length));
    this.#text = text;
    return this.#view(streaming);
  }

  /** Targets of reference links seen so far, by lower-case label. */
  get definitions(): ReadonlyMap<string, string> {
    return this.#definitions;
  }

  #restart(): void {
    this.#settled = [];
    this.#state = start();
    this.#carry = '';
    this.#text = '';
    this.#definitions = new Map();
  }

  #take(chunk: string): void {
    const lines = (this.#carry + chunk).split('\n');
    this.#carry = lines.pop() ?? '';
    for (const line of lines) {
      this.#define(line);
      feed(this.#state, line.endsWith('\r') ? line.slice(0, -1) : line, this.#settled);
    }
  }

  #define(line: string): void {
    if (this.#state.mode === 'fence' || this.#definitions.size >= 500) return;
    const found = DEFINITION.exec(line);
    if (!found?.[1] || !found[2]) return;
    const label = found[1].toLowerCase().trim();
    if (label && !this.#definitions.has(label)) this.#definitions.set(label, line.trim());
  }

  #view(streaming: boolean): readonly Block[] {
    const more: Block[] = [];
    const state = copyOf(this.#state);
    const line = this.#carry.endsWith('\r') ? this.#carry.slice(0, -1) : this.#carry;
    const inside = state.mode === 'fence';
    if (
      line !== '' &&
      !(streaming && !inside && undecided(line)) &&
      !(streaming && inside && fenceComing(line, state))
    ) {
      feed(state, line, more, this.#settled.length);
    }
    if (state.mode !== 'none') more.push(openBlock(state, this.#settled.length + more.length));
    return more.length ? [...this.#settled, ...more] : this.#settled.slice();
  }
}

/** The first marks of a closing fence: shown as code they would blink. */
function fenceComing(line: string, state: State): boolean {
  const text = line.trim();
  return (
    text !== '' && state.fence !== null && [...text].every((character) => character === state.fence?.mark)
  );
}

function openBlock(state: State, id: number): Block {
  const kind: BlockKind = state.mode === 'fence' ? 'code' : state.mode === 'maths' ? 'maths' : 'markdown';
  const lines = state.lines.slice();
  if (kind === 'markdown') while (lines.length && (lines[lines.length - 1] ?? '').trim() === '') lines.pop();
  return { id, kind, text: lines.join('\n'), info: state.info, closed: false };
}

/** Ends what is open and puts it behind `done`. */
function finish(state: State, done: Block[], base: number): void {
  if (state.mode !== 'none') {
    const open = openBlock(state, base + done.length);
    // A formula that never found its end is ordinary text again, marks and all.
    const spoiled = state.mode === 'maths' && !state.info;
    const mark = state.mathsEnd === '$$' ? '$$' : '\\[';
    done.push(
      Object.freeze(
        spoiled
          ? { ...open, kind: 'markdown', text: mark + open.text, closed: true }
          : { ...open, info: open.kind === 'code' ? open.info : '', closed: true },
      ),
    );
  }
  Object.assign(state, start());
}

function feed(state: State, line: string, done: Block[], before = 0): void {
  switch (state.mode) {
    case 'fence':
      return feedFence(state, line, done, before);
    case 'maths':
      return feedMaths(state, line, done, before);
    case 'list':
      return feedList(state, line, done, before);
    case 'indented':
      if (line.trim() === '' || indentOf(line) >= 4) state.lines.push(line);
      else {
        finish(state, done, before);
        begin(state, line, done, before);
      }
      return;
    case 'text':
      return feedText(state, line, done, before);
    default:
      return begin(state, line, done, before);
  }
}

function begin(state: State, line: string, done: Block[], before: number): void {
  if (line.trim() === '') return;
  const fence = openingFence(line);
  const item = ITEM.exec(line);
  const maths = mathsOpening(line);
  if (fence) {
    Object.assign(state, { mode: 'fence', fence, info: fence.info });
  } else if (maths) {
    Object.assign(state, { mode: 'maths', mathsEnd: maths });
    feedMaths(state, line.trim().slice(2), done, before);
  } else if (indentOf(line) >= 4) {
    Object.assign(state, { mode: 'indented', lines: [line] });
  } else if (HEADING.test(line) || RULE.test(line)) {
    Object.assign(state, { mode: 'text', lines: [line] });
    finish(state, done, before);
  } else if (item) {
    Object.assign(state, {
      mode: 'list',
      lines: [line],
      ordered: item[3] !== undefined,
      offset: itemOffset(item),
    });
  } else {
    Object.assign(state, { mode: 'text', lines: [line] });
  }
}

function itemOffset(item: RegExpExecArray): number {
  const marker = (item[1]?.length ?? 0) + (item[2] ? 1 : (item[3]?.length ?? 0) + 1);
  const gap = item[4]?.length ?? 1;
  return marker + (gap >= 1 && gap <= 4 ? gap : 1);
}

function feedFence(state: State, line: string, done: Block[], before: number): void {
  const fence = state.fence;
  if (fence && closesFence(line, fence)) {
    finish(state, done, before);
    return;
  }
  let cut = 0;
  while (cut < (fence?.indent ?? 0) && line[cut] === ' ') cut += 1;
  state.lines.push(line.slice(cut));
}

function feedMaths(state: State, line: string, done: Block[], before: number): void {
  const text = line.trimEnd();
  if (text.endsWith(state.mathsEnd)) {
    state.lines.push(text.slice(0, -2));
    state.info = 'whole';
    finish(state, done, before);
  } else if (text === '' && state.lines.length > 0) {
    finish(state, done, before);
  } else {
    state.lines.push(line);
  }
}

function feedText(state: State, line: string, done: Block[], before: number): void {
  if (line.trim() === '') return finish(state, done, before);
  const item = ITEM.exec(line);
  const quoted = QUOTE.test(state.lines[0] ?? '');
  const itemInterrupts =
    item !== null && (item[4] ?? '') !== '' && (item[3] === undefined || item[3] === '1');
  if (
    openingFence(line) ||
    HEADING.test(line) ||
    mathsOpening(line) ||
    itemInterrupts ||
    (quoted && RULE.test(line))
  ) {
    // Three dashes below a paragraph are its underline, not a list and not a rule.
    if (!quoted && /^ {0,3}-+[ \t]*$/.test(line)) {
      state.lines.push(line);
      return;
    }
    finish(state, done, before);
    begin(state, line, done, before);
    return;
  }
  state.lines.push(line);
}

function feedList(state: State, line: string, done: Block[], before: number): void {
  if (line.trim() === '') {
    state.lines.push('');
    state.blank = true;
    return;
  }
  const indent = indentOf(line);
  if (state.fence) {
    if (indent >= state.fence.indent) {
      if (closesFence(line, state.fence, state.fence.indent + 3)) state.fence = null;
      state.lines.push(line);
      state.blank = false;
      return;
    }
    state.fence = null;
  }
  const item = RULE.test(line) ? null : ITEM.exec(line);
  const inside = indent >= Math.min(state.offset, 4);
  if (!inside && !item && (state.blank || interruptsList(line))) {
    finish(state, done, before);
    begin(state, line, done, before);
    return;
  }
  if (!inside && item && (item[3] !== undefined) !== state.ordered) {
    finish(state, done, before);
    begin(state, line, done, before);
    return;
  }
  if (!inside && item) state.offset = itemOffset(item);
  noteInnerFence(state, line, item);
  state.lines.push(line);
  state.blank = false;
}

function interruptsList(line: string): boolean {
  return (
    openingFence(line) !== null ||
    HEADING.test(line) ||
    RULE.test(line) ||
    QUOTE.test(line) ||
    mathsOpening(line) !== null
  );
}

/** A fence inside an item, also right behind its mark: blank lines in it do not end anything. */
function noteInnerFence(state: State, line: string, item: RegExpExecArray | null): void {
  const indent = indentOf(line);
  const body = item ? line.slice(item[0].length) : line.trimStart();
  const nested = item ? null : ITEM.exec(body);
  const fence = openingFence(nested ? body.slice(nested[0].length) : body);
  if (!fence) return;
  const width = item ? itemOffset(item) : indent + (nested ? itemOffset(nested) : 0);
  state.fence = {
    mark: fence.mark,
    length: fence.length,
    indent: Math.min(width, Math.max(indent, state.offset)),
  };
}
