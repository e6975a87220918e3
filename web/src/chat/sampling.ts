/** The numbers by which answers are drawn, as a form shows them: text in, checked numbers out. Pure. */
import type { Key } from '../i18n/index.svelte';
import type { CompletionArgs } from './calls';

export interface SamplingNumber {
  name: 'temperature' | 'top_p' | 'max_tokens' | 'random_seed';
  label: Key;
  hint: Key;
  least: number;
  most: number;
  whole: boolean;
}

export const NUMBERS: readonly SamplingNumber[] = [
  {
    name: 'temperature',
    label: 'chat.temperature',
    hint: 'chat.temperatureHint',
    least: 0,
    most: 1.5,
    whole: false,
  },
  { name: 'top_p', label: 'chat.topP', hint: 'chat.topPHint', least: 0, most: 1, whole: false },
  {
    name: 'max_tokens',
    label: 'chat.maxTokens',
    hint: 'chat.maxTokensHint',
    least: 1,
    most: 1_000_000,
    whole: true,
  },
  {
    name: 'random_seed',
    label: 'chat.seed',
    hint: 'chat.seedHint',
    least: 0,
    most: 2_147_483_647,
    whole: true,
  },
];

export function writeNumbers(args: CompletionArgs): Record<string, string> {
  return Object.fromEntries(
    NUMBERS.map(({ name }) => [name, typeof args[name] === 'number' ? String(args[name]) : '']),
  );
}

/** The arguments with the numbers in them, others kept; or the name of the first number that is none. */
export function readNumbers(written: Record<string, string>, args: CompletionArgs): CompletionArgs | string {
  const read: CompletionArgs = { ...args };
  for (const { name, least, most, whole } of NUMBERS) {
    // A comma is a decimal point to half of those who type here.
    const text = (written[name] ?? '').trim().replace(',', '.');
    delete read[name];
    if (text === '') continue;
    const value = Number(text);
    if (!Number.isFinite(value) || value < least || value > most || (whole && !Number.isInteger(value)))
      return name;
    read[name] = value;
  }
  return read;
}
