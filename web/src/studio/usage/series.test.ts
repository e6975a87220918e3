import { describe, expect, it } from 'vitest';
import type { UsageRow } from '../../api/types';
import { csv, dayBefore, daysBetween, MOST_STACKS, scale, stacks, tokensOf } from './series';

const row = (more: Partial<UsageRow>): UsageRow => ({
  requests: 1,
  prompt_tokens: 10,
  cached_tokens: 0,
  generated_tokens: 5,
  queued_ms: 0,
  compute_ms: 0,
  ...more,
});

describe('days', () => {
  it('take both ends, over months, leap days and clock changes', () => {
    expect(daysBetween('2024-02-28', '2024-03-01')).toEqual(['2024-02-28', '2024-02-29', '2024-03-01']);
    expect(daysBetween('2026-10-24', '2026-10-26')).toHaveLength(3);
    expect(daysBetween('2026-01-02', '2026-01-01')).toEqual([]);
    expect(dayBefore('2026-03-01', 1)).toBe('2026-02-28');
  });
});

describe('stacks', () => {
  const days = daysBetween('2026-01-01', '2026-01-03');

  it('keep every token and put the largest model first', () => {
    const rows = [
      row({ day: '2026-01-01', model: 'a' }),
      row({ day: '2026-01-03', model: 'b', prompt_tokens: 100 }),
      row({ day: '2026-01-03', model: 'a' }),
    ];
    const found = stacks(rows, days, 'tokens', 'rest');
    expect(found.map((one) => one.name)).toEqual(['b', 'a']);
    expect(found[1]!.values).toEqual([15, 0, 15]);
    expect(stacks(rows, days, 'requests', 'rest')[0]!.values).toEqual([1, 0, 1]);
  });

  it('sum what is too much to be told apart', () => {
    const rows = Array.from({ length: 9 }, (_, number) =>
      row({ day: '2026-01-02', model: `m${number}`, prompt_tokens: 100 - number }),
    );
    const found = stacks(rows, days, 'tokens', 'rest');
    expect(found).toHaveLength(MOST_STACKS);
    expect(found.at(-1)!.name).toBe('rest');
    const total = found.reduce((sum, one) => sum + one.total, 0);
    expect(total).toBe(rows.reduce((sum, one) => sum + tokensOf(one), 0));
  });
});

describe('a scale', () => {
  it('reaches over the largest value in a few round steps', () => {
    for (const most of [1, 3, 9, 10, 99, 1234, 99_999, 1_000_000, 7.5e9]) {
      const lines = scale(most);
      expect(lines[0]).toBe(0);
      expect(lines.at(-1)).toBeGreaterThanOrEqual(most);
      expect(lines.length).toBeLessThanOrEqual(6);
      expect(lines.every(Number.isInteger)).toBe(true);
    }
    expect(scale(0)).toEqual([0, 1]);
  });
});

describe('csv', () => {
  it('quotes what needs it and lets no formula through', () => {
    const written = csv([row({ model: '=HYPERLINK("x")', key_name: 'a,b\n"c"', key: null })]);
    expect(written).toContain(`"'=HYPERLINK(""x"")"`);
    expect(written).toContain('"a,b\n""c"""');
    expect(written.split('\r\n')[0]).toContain('prompt_tokens');
  });
});
