// @vitest-environment jsdom
import { describe, expect, it, vi } from 'vitest';
import { markdownHtml, renderMarkdown } from './render';
import { sanitise } from './sanitise';

/** The same numbers every time. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

const PIECES = [
  ...['word', 'Été', 'ñ', '日本', 'a\u0301', 'www.', 'Www.a.org', 'http:', 'x', '1', '2)', '42.'],
  ...[
    ' ',
    '  ',
    '    ',
    ',',
    '.',
    ';',
    ':',
    '?',
    '!',
    "'",
    '"',
    '(',
    ')',
    '’',
    '“',
    '”',
    '«',
    '»',
    '…',
    '–',
    '—',
  ],
  ...[
    '-',
    '--',
    '- ',
    '===',
    '\n',
    '\n\n',
    '\t',
    '\u00a0',
    '*',
    '_',
    '`',
    '~~',
    '#',
    '> ',
    '+ ',
    '|',
    '[',
    ']',
  ],
  ...['\\', '$', '&amp;', '&', '<b>', '<script>', '/', '@', 'a@b.org', 'https://x.org', '\u0000', '\ud800'],
];

describe('words without marks', () => {
  it('become the very nodes that the parser would have made of them', () => {
    const roll = dice(7);
    for (let round = 0; round < 600; round += 1) {
      // Mostly of what may stand there, or nothing would be tried.
      const text = Array.from({ length: 1 + roll(6) }, () => PIECES[roll(roll(4) ? 33 : PIECES.length)]).join(
        '',
      );
      const made = renderMarkdown(text);
      expect(made.isEqualNode(sanitise(markdownHtml(text))), JSON.stringify(text)).toBe(true);
    }
  });

  it('cost no parser', () => {
    const parse = vi.spyOn(DOMParser.prototype, 'parseFromString');
    renderMarkdown('Hello, world');
    expect(parse).not.toHaveBeenCalled();
    renderMarkdown('Hello, *world*');
    expect(parse).toHaveBeenCalled();
  });

  it('stay text, whatever they are', () => {
    expect(renderMarkdown('Hello (world): "it’s" fine!').firstElementChild!.outerHTML).toBe(
      '<p>Hello (world): "it’s" fine!</p>',
    );
    expect(renderMarkdown('see www.example.org').querySelector('a')!.rel).toContain('noreferrer');
  });
});
