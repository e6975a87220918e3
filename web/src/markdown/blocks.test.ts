import { describe, expect, it } from 'vitest';
import { BlockScanner, type Block } from './blocks';
import { markdownHtml } from './render';

const PIECES = [
  '# Title\n',
  'Some words ',
  'with `code` and **bold**',
  '\n',
  '\n\n',
  '```js\n',
  '```',
  '~~~\n',
  'let a = 1;\n',
  '- item\n',
  '  - inner\n',
  '1. one\n',
  '2. two\n',
  '   ```py\n',
  '   x = 1\n',
  '   ```\n',
  '> quoted\n',
  '| a | b |\n',
  '|---|---|\n',
  '| 1 | 2 |\n',
  '$$\n',
  'x^2\n',
  '\\[ y \\]\n',
  '---\n',
  '    indented\n',
  '[ref]: https://example.org\n',
  '[ref] ',
  '$a$ ',
  '\r\n',
  '\t',
  '* * *\n',
  '===\n',
  '<b>x</b>\n',
  '- [ ] task\n',
  '\\',
  '`',
  '$',
  '[',
  '|',
];

/** Repeatable dice, so that a failure can be seen again. */
function dice(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return (state ^ (state >>> 13)) % below;
  };
}

function written(seed: number): string {
  const roll = dice(seed);
  let text = '';
  for (let at = roll(30) + 1; at > 0; at -= 1) text += PIECES[roll(PIECES.length)];
  return text;
}

const whole = (text: string, streaming = false): readonly Block[] => new BlockScanner().read(text, streaming);

describe('blocks', () => {
  it('come out the same whatever pieces the text came in', () => {
    for (let seed = 1; seed <= 150; seed += 1) {
      const text = written(seed);
      const roll = dice(seed * 7919);
      const scanner = new BlockScanner();
      for (let end = 0; end < text.length; end += 1 + roll(9)) {
        for (const streaming of [true, false]) {
          expect(scanner.read(text.slice(0, end), streaming), `seed ${seed} at ${end}`).toEqual(
            whole(text.slice(0, end), streaming),
          );
        }
      }
      expect(scanner.read(text), `seed ${seed}`).toEqual(whole(text));
    }
  });

  it('never change once another block stands behind them', () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const text = written(seed);
      const scanner = new BlockScanner();
      let settled: Block[] = [];
      for (let end = 1; end <= text.length; end += 1) {
        if (text[end - 1] !== '\n') continue;
        const blocks = scanner.read(text.slice(0, end));
        settled.forEach((block, index) => expect(blocks[index], `seed ${seed}`).toBe(block));
        settled = blocks.filter((block) => block.closed) as Block[];
      }
    }
  });

  it('start anew when the text is another one', () => {
    const scanner = new BlockScanner();
    scanner.read('# One\n\ntwo');
    expect(scanner.read('other\n')).toEqual(whole('other\n'));
  });

  it('say the same as parsing the whole at once', () => {
    const texts = [
      'One paragraph\nof two lines.\n\nAnother.',
      '# A\nwords\n## B\nmore\n\n---\n\nend',
      'Setext\n======\n\nand\n---\nwords',
      '- a\n- b\n\n  more of b\n\n- c\n\nafter',
      '1. one\n   - in\n     - deeper\n2. two\n\n\n3. three',
      '- a\n\n      code in item\n\n- b',
      '- x\n1. y\n- z',
      'para\n- list right behind\n- two\n\npara',
      '> quote\nlazy\n\n> second\n> > nested\n\nout',
      '| a | b |\n|---|:-:|\n| 1 | 2 |\n\nafter',
      '    indented\n\n    still\n\nwords',
      '- [x] done\n- [ ] open\n',
      'a  \nb\\\nc',
      '10. ten\n11. eleven\n\nwords\n2) other',
    ];
    for (const text of texts) {
      const split = whole(text)
        .map((block) => markdownHtml(block.text))
        .join('');
      expect(split.replace(/\s+/g, ' ').trim(), text).toBe(markdownHtml(text).replace(/\s+/g, ' ').trim());
    }
  });

  it('keep code whole, with what stands behind its fence', () => {
    const blocks = whole('See:\n```python title="x"\na = 1\n\n# not a heading\n```\nafter');
    expect(blocks.map((block) => [block.kind, block.text, block.closed])).toEqual([
      ['markdown', 'See:', true],
      ['code', 'a = 1\n\n# not a heading', true],
      ['markdown', 'after', false],
    ]);
    expect(blocks[1]?.info).toBe('python title="x"');
  });

  it('leave code open while its fence is', () => {
    expect(whole('```js\nlet a', true)).toMatchObject([{ kind: 'code', text: 'let a', closed: false }]);
    expect(whole('```js\nlet a\n``', true)).toMatchObject([{ kind: 'code', text: 'let a', closed: false }]);
    expect(whole('````md\n```\nx\n```\n````\n')).toMatchObject([
      { kind: 'code', text: '```\nx\n```', closed: true },
    ]);
  });

  it('keep fences inside list items inside, blank lines and all', () => {
    expect(whole('1. do\n\n   ```sh\n   a\n\n   b\n   ```\n\n2. then\n')).toHaveLength(1);
    expect(whole('- do\n```sh\na\n```\n').map((block) => block.kind)).toEqual(['markdown', 'code']);
  });

  it('know formulas that stand alone and give up those that never end', () => {
    expect(whole('$$\na^2\n$$\n')).toMatchObject([{ kind: 'maths', closed: true }]);
    expect(whole('$$a^2$$\n')).toMatchObject([{ kind: 'maths', text: 'a^2' }]);
    expect(whole('\\[ a \\]\n')).toMatchObject([{ kind: 'maths' }]);
    expect(whole('$$ costs\n\nmore words\n')).toMatchObject([
      { kind: 'markdown', text: '$$ costs' },
      { kind: 'markdown' },
    ]);
  });

  it('hold back a last line that may become anything', () => {
    expect(whole('words\n-', true)).toMatchObject([{ text: 'words' }]);
    expect(whole('words\n- i', true)).toHaveLength(2);
    expect(whole('words\n-')).toMatchObject([{ text: 'words\n-' }]);
  });

  it('remember where reference links lead', () => {
    const scanner = new BlockScanner();
    scanner.read('See [the page][p].\n\n[p]: https://example.org/page\n');
    expect([...scanner.definitions]).toEqual([['p', '[p]: https://example.org/page']]);
  });

  it('stay quick with long texts', () => {
    const scanner = new BlockScanner();
    let text = '';
    const started = performance.now();
    for (let line = 0; line < 4000; line += 1) {
      text += line % 7 === 0 ? '\n' : `A line of words that is number ${line}, and some more of them.\n`;
      scanner.read(text, true);
    }
    // Each reading looks at the new line alone: the last tenth costs about what the first did.
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});
