import { describe, expect, it } from 'vitest';
import { fenced, kindOf, newVersion, titleFor } from './change';
import { diffLines, folded } from './diff';

const before = (lines: ReturnType<typeof diffLines>) =>
  lines
    .filter((line) => line.kind !== 'added')
    .map((line) => line.text)
    .join('\n');
const after = (lines: ReturnType<typeof diffLines>) =>
  lines
    .filter((line) => line.kind !== 'removed')
    .map((line) => line.text)
    .join('\n');

describe('the difference of two texts', () => {
  it('holds both of them, whatever they are', () => {
    let state = 1;
    const roll = (below: number) => (state = (state * 48271) % 2147483647) % below;
    for (let round = 0; round < 300; round += 1) {
      const make = () => Array.from({ length: roll(12) }, () => 'abc'[roll(3)]).join('\n');
      const [one, two] = [make(), make()];
      const lines = diffLines(one, two);
      expect(before(lines), JSON.stringify([one, two])).toBe(one);
      expect(after(lines), JSON.stringify([one, two])).toBe(two);
    }
  });

  it('is the shortest', () => {
    const lines = diffLines('a\nb\nc\na\nb\nb\na', 'c\nb\na\nb\na\nc');
    expect(lines.filter((line) => line.kind !== 'same')).toHaveLength(5);
    expect(diffLines('a\nb\nc', 'a\nx\nc').map((line) => line.kind)).toEqual([
      'same',
      'removed',
      'added',
      'same',
    ]);
    expect(diffLines('same', 'same').every((line) => line.kind === 'same')).toBe(true);
  });

  it('gives up the shortest way, and nothing else, for texts that have nothing in common', () => {
    const one = Array.from({ length: 4000 }, (_, n) => `one ${n}`).join('\n');
    const two = Array.from({ length: 4000 }, (_, n) => `two ${n}`).join('\n');
    const lines = diffLines(one, two);
    expect(before(lines)).toBe(one);
    expect(after(lines)).toBe(two);
  }, 30_000);

  it('folds what did not change', () => {
    const text = Array.from({ length: 50 }, (_, n) => `line ${n}`);
    const shown = folded(diffLines(text.join('\n'), text.with(25, 'other').join('\n')));
    expect(shown.filter((line) => line === null)).toHaveLength(2);
    expect(shown.length).toBe(10);
  });
});

describe('a change asked for', () => {
  it('is the largest block in the language of the document', () => {
    const answer = 'Use this:\n```sh\nnpm install something very long indeed\n```\n\n```py\nprint(1)\n```\n';
    expect(newVersion(answer, 'code', 'python')).toBe('print(1)');
    expect(newVersion('```\nx = 1\n```', 'code', 'python')).toBe('x = 1');
    expect(newVersion('I cannot do that.', 'code', 'python')).toBeNull();
    expect(newVersion('I cannot do that.', 'html', 'html')).toBeNull();
  });

  it('is the answer itself for a text without a fence', () => {
    expect(newVersion('# Title\n\nWords.', 'markdown', '')).toBe('# Title\n\nWords.');
    expect(newVersion('```markdown\n# Title\n```\n', 'markdown', '')).toBe('# Title');
  });

  it('carries the present version in a fence that nothing in it can close', () => {
    const content = 'a\n````js\nb\n````\n';
    expect(newVersion(fenced(content.trim(), 'markdown'), 'markdown', '')).toBe(content.trim());
    expect(fenced('`a`\n'.repeat(200_000), '')).toMatch(/^```\n/);
  });

  it('knows kinds and finds names', () => {
    expect([kindOf('html'), kindOf('md'), kindOf(''), kindOf('py')]).toEqual([
      'html',
      'markdown',
      'markdown',
      'code',
    ]);
    expect(titleFor('# **Plan** for spring\n\nx', 'markdown', 'Document')).toBe('Plan for spring');
    expect(titleFor('<html><title>Clock</title>', 'html', 'Code')).toBe('Clock');
    expect(titleFor('x = 1', 'code', 'Code (py)')).toBe('Code (py)');
  });
});
