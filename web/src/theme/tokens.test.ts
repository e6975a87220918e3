import { describe, expect, it } from 'vitest';
import css from './tokens.css?raw';

function tokens(selector: string): Record<string, string> {
  const start = css.indexOf(`${selector} {`);
  const block = css.slice(start, css.indexOf('\n}', start));
  return Object.fromEntries(
    [...block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/g)].map((found) => [found[1]!, found[2]!]),
  );
}

function luminance(colour: string): number {
  const parts = [1, 3, 5].map((at) => {
    const value = parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * parts[0]! + 0.7152 * parts[1]! + 0.0722 * parts[2]!;
}

function contrast(one: string, other: string): number {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

const grounds = ['paper', 'ground', 'raised', 'sunken', 'hover'];
const TEXT: [string, string][] = [
  ...grounds.flatMap((ground): [string, string][] => [
    ['ink', ground],
    ['ink-soft', ground],
    ['ink-faint', ground],
    ['accent', ground],
  ]),
  ['ink', 'pressed'],
  ['ink', 'knob'],
  ['danger', 'paper'],
  ['danger', 'raised'],
  ['danger', 'hover'],
  ['accent-ink', 'accent'],
  ['accent-ink', 'accent-hover'],
  ['danger-ink', 'danger'],
  ['danger-ink', 'danger-hover'],
  ['accent-soft-ink', 'accent-soft'],
  ['danger-soft-ink', 'danger-soft'],
  ['warning-soft-ink', 'warning-soft'],
  ['success-soft-ink', 'success-soft'],
  ['ink', 'mark-hit'],
];
const PLOTS = [1, 2, 3, 4, 5, 6].map((part) => `plot-${part}`);
const EDGES: [string, string][] = ['paper', 'ground', 'raised'].flatMap((ground) =>
  ['line-strong', ...PLOTS].map((edge): [string, string] => [edge, ground]),
);

describe.each([
  ['light', tokens(':root')],
  ['dark', tokens(":root[data-theme='dark']")],
])('the %s theme', (_, colours) => {
  it.each(TEXT)('lets %s be read on %s', (ink, ground) => {
    expect(contrast(colours[ink]!, colours[ground]!)).toBeGreaterThanOrEqual(4.5);
  });

  it.each(EDGES)('shows the edge %s on %s', (edge, ground) => {
    expect(contrast(colours[edge]!, colours[ground]!)).toBeGreaterThanOrEqual(3);
  });
});

describe('components', () => {
  const files = import.meta.glob<string>('../{parts,shell,account,people,first-run,studio}/**/*.svelte', {
    query: '?raw',
    import: 'default',
    eager: true,
  });

  it.each(Object.entries(files))('%s sets no colour of its own', (_, source) => {
    expect(source.split('<style>')[1] ?? '').not.toMatch(/#[0-9a-f]{3,8}\b|rgba?\(|hsla?\(/i);
  });

  it.each(Object.entries(files))(
    '%s writes no style into an element, which the policy forbids',
    (_, source) => {
      expect(source.split('<style>')[0]).not.toMatch(/\sstyle="|\{@html|innerHTML/);
    },
  );
});
