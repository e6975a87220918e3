/**
 * The words of the page: `t('common.save')`, `tn('chat.messages', 3)`. Languages are files of equal keys, loaded one at
 * a time; dates, numbers and plurals come from Intl. A key that does not exist does not compile.
 */
import type { Language } from '../api/types';
import type account from './en/account.json';
import type chat from './en/chat.json';
import type common from './en/common.json';
import type studio from './en/studio.json';

type Named<Prefix extends string, Words> = `${Prefix}.${Extract<keyof Words, string>}`;
export type Key =
  | Named<'common', typeof common>
  | Named<'account', typeof account>
  | Named<'chat', typeof chat>
  | Named<'studio', typeof studio>;
/** Keys that come in plural forms, `NAME_one` and `NAME_other`. */
export type PluralKey = Key extends infer K ? (K extends `${infer Base}_other` ? Base : never) : never;
export type Params = Record<string, string | number>;
export type Words = Record<string, string>;

export const LANGUAGES: readonly { code: Language; name: string }[] = [
  { code: 'en', name: 'English' },
  { code: 'fr', name: 'Français' },
];

const LOADERS: Record<Language, () => Promise<{ default: Words }>> = {
  en: () => import('./en/index'),
  fr: () => import('./fr/index'),
};
const KEPT = 'tramontane.language';

class Tongue {
  language = $state<Language>('en');
  words = $state.raw<Words>({});
}

const tongue = new Tongue();

export function language(): Language {
  return tongue.language;
}

/** The language to begin with: what this browser was last set to, else what it prefers. Set by theme/boot.js. */
export function firstLanguage(): Language {
  return document.documentElement.lang === 'fr' ? 'fr' : 'en';
}

/** What the browser itself prefers. */
export function preferredLanguage(): Language {
  return navigator.language.startsWith('fr') ? 'fr' : 'en';
}

export async function setLanguage(wanted: Language): Promise<void> {
  if (wanted === tongue.language && Object.keys(tongue.words).length > 0) return;
  const loaded = await LOADERS[wanted]();
  tongue.words = loaded.default;
  tongue.language = wanted;
  document.documentElement.lang = wanted;
  try {
    localStorage.setItem(KEPT, wanted);
  } catch {
    // Storage may be shut; the choice then lasts as long as the page.
  }
}

export function filled(words: string, params?: Params): string {
  if (!params) return words;
  return words.replace(/\{(\w+)\}/g, (whole, name: string) => String(params[name] ?? whole));
}

/** The words of `key`, with `{name}` replaced from `params`. Reactive. */
export function t(key: Key, params?: Params): string {
  return filled(tongue.words[key] ?? key, params);
}

/** The words of a key put together from a word of the server; null where there are none. Reactive. */
export function translated(key: string): string | null {
  return Object.hasOwn(tongue.words, key) ? (tongue.words[key] ?? null) : null;
}

/** The plural form of `key` for `count`, which also stands in `{count}`. */
export function tn(key: PluralKey, count: number, params?: Params): string {
  const form = new Intl.PluralRules(tongue.language).select(count);
  const words = tongue.words[`${key}_${form}`] ?? tongue.words[`${key}_other`] ?? key;
  return filled(words, { count: formatNumber(count), ...params });
}

export function formatNumber(value: number, digits = 0): string {
  return new Intl.NumberFormat(tongue.language, { maximumFractionDigits: digits }).format(value);
}

export function formatDate(iso: string, style: 'date' | 'time' | 'both' = 'both'): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return '';
  return new Intl.DateTimeFormat(tongue.language, {
    dateStyle: style === 'time' ? undefined : 'medium',
    timeStyle: style === 'date' ? undefined : 'short',
  }).format(date);
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['minute', 60],
  ['hour', 3600],
  ['day', 86_400],
  ['week', 604_800],
  ['month', 2_629_800],
  ['year', 31_557_600],
];

/** "3 hours ago", "in 6 days". */
export function formatAgo(iso: string, now = Date.now()): string {
  const seconds = (new Date(iso).getTime() - now) / 1000;
  if (Number.isNaN(seconds)) return '';
  let [unit, size]: [Intl.RelativeTimeFormatUnit, number] = ['minute', 60];
  for (const [name, length] of STEPS) if (Math.abs(seconds) >= length) [unit, size] = [name, length];
  return new Intl.RelativeTimeFormat(tongue.language, { numeric: 'auto' }).format(
    Math.round(seconds / size),
    unit,
  );
}

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];

/** "1.2 GB" in English, "1,2 Go" in French. Decimal units, as disks and downloads are sold. */
export function formatBytes(bytes: number): string {
  const step = bytes > 0 ? Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3)) : 0;
  const value = bytes / 1000 ** step;
  return new Intl.NumberFormat(tongue.language, {
    style: 'unit',
    unit: UNITS[step] ?? 'byte',
    unitDisplay: 'short',
    maximumFractionDigits: value < 10 && step > 0 ? 1 : 0,
  }).format(value);
}
