/** When a key ends, from what a form offers: a span from now, the last day, or never. */
export const SPANS = ['30', '90', '365', 'date', 'never'] as const;
export type Span = (typeof SPANS)[number];

const DAY_MS = 86_400_000;

/** The moment as the server takes it; null for never, and undefined where the day is missing, no day or past. */
export function endOf(span: Span, day: string, now = Date.now()): string | null | undefined {
  if (span === 'never') return null;
  if (span !== 'date') return new Date(now + Number(span) * DAY_MS).toISOString();
  // The whole day counts, where the person lives.
  const last = new Date(`${day}T23:59:59`);
  return /^\d{4}-\d\d-\d\d$/.test(day) && last.getTime() > now ? last.toISOString() : undefined;
}
