/** Sums of the server turned into what a plot and a table show. Pure: days, stacks, totals, CSV. */
import type { UsageRow } from '../../api/types';

export type Measure = 'tokens' | 'requests';

export interface Stack {
  name: string;
  /** One value a day, in the order of `days`. */
  values: number[];
  total: number;
}

export const MOST_STACKS = 6;

export function tokensOf(row: UsageRow): number {
  return row.prompt_tokens + row.generated_tokens;
}

export function valueOf(row: UsageRow, measure: Measure): number {
  return measure === 'tokens' ? tokensOf(row) : row.requests;
}

/** Every day from `from` to `to`, both included, as `2026-01-31`. Days are those of UTC, as the server counts. */
export function daysBetween(from: string, to: string): string[] {
  const days: string[] = [];
  const end = Date.parse(`${to}T00:00:00Z`);
  for (let at = Date.parse(`${from}T00:00:00Z`); at <= end && days.length < 1000; at += 86_400_000)
    days.push(new Date(at).toISOString().slice(0, 10));
  return days;
}

export function dayBefore(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) - days * 86_400_000).toISOString().slice(0, 10);
}

/** One stack per model, the largest first; what is beyond the most that can be told apart is summed as `rest`. */
export function stacks(
  rows: readonly UsageRow[],
  days: readonly string[],
  measure: Measure,
  rest: string,
): Stack[] {
  const place = new Map(days.map((day, index) => [day, index]));
  const found = new Map<string, Stack>();
  for (const row of rows) {
    const index = place.get(row.day ?? '');
    if (index === undefined) continue;
    const name = row.model || '–';
    const stack = found.get(name) ?? { name, values: days.map(() => 0), total: 0 };
    stack.values[index]! += valueOf(row, measure);
    stack.total += valueOf(row, measure);
    found.set(name, stack);
  }
  const sorted = [...found.values()].sort((a, b) => b.total - a.total || a.name.localeCompare(b.name));
  if (sorted.length <= MOST_STACKS) return sorted;
  const last: Stack = { name: rest, values: days.map(() => 0), total: 0 };
  for (const stack of sorted.slice(MOST_STACKS - 1)) {
    stack.values.forEach((value, index) => (last.values[index]! += value));
    last.total += stack.total;
  }
  return [...sorted.slice(0, MOST_STACKS - 1), last];
}

/** The end of the scale and its steps: round numbers, at most five lines. */
export function scale(most: number): number[] {
  if (most <= 0) return [0, 1];
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const round = [1, 2, 2.5, 5, 10].map((times) => times * power);
  const step = round.find((one) => one >= rough && Number.isInteger(one)) ?? 1;
  const lines: number[] = [];
  for (let at = 0; at < most + step; at += step) lines.push(at);
  return lines;
}

/** Rows as a spreadsheet reads them. Text that a spreadsheet would run as a formula is kept from it. */
export function csv(rows: readonly UsageRow[]): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))] as (keyof UsageRow)[];
  const cell = (value: unknown) => {
    let text = value === null || value === undefined ? '' : String(value);
    if (typeof value === 'string' && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return (
    [names.join(','), ...rows.map((row) => names.map((name) => cell(row[name])).join(','))].join('\r\n') +
    '\r\n'
  );
}
