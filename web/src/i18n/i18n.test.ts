import { beforeAll, describe, expect, it, vi } from 'vitest';
import shipped from '../../../src/tramontane/records/catalog/catalogue.toml?raw';
import en from './en/index';
import fr from './fr/index';
import frenchCatalogue from './fr/told';
import { filled, formatAgo, formatBytes, setLanguage, t, tn } from './index.svelte';
import { told } from './told.svelte';

const placeholders = (words: string) => [...words.matchAll(/\{(\w+)\}/g)].map((found) => found[1]).sort();

describe('the two languages', () => {
  it('have the same keys', () => {
    expect(Object.keys(fr).sort()).toEqual(Object.keys(en).sort());
  });

  it('fill the same places', () => {
    for (const [key, words] of Object.entries(en))
      expect(placeholders(fr[key] ?? ''), key).toEqual(placeholders(words));
  });

  it('say something everywhere', () => {
    for (const words of [en, fr])
      for (const [key, text] of Object.entries(words)) expect(text.trim(), key).not.toBe('');
  });

  it('know a plural for every singular', () => {
    for (const key of Object.keys(en))
      if (key.endsWith('_one')) expect(en).toHaveProperty([key.replace(/_one$/, '_other')]);
  });

  it('keep French punctuation from standing alone on a line', () => {
    for (const [key, words] of Object.entries({ ...fr, ...frenchCatalogue }))
      expect(words, key).not.toMatch(/ [?!;:»](\s|$)|« /);
  });

  it('write French with the apostrophe of print', () => {
    for (const [key, words] of Object.entries({ ...fr, ...frenchCatalogue }))
      expect(words, key).not.toContain("'");
  });

  it('set three dots where others do: against the word', () => {
    for (const words of [en, fr])
      for (const [key, text] of Object.entries(words)) expect(text, key).not.toMatch(/\s…/);
  });

  it('know all that the shipped catalogue says, and nothing else', () => {
    const said = [...shipped.matchAll(/^(?:description|summary) = "(.+)"$/gm)].map((found) => found[1]);
    expect(said.length).toBeGreaterThan(40);
    expect(Object.keys(frenchCatalogue).sort()).toEqual([...new Set(said)].sort());
  });

  it('are used: every key of ours stands in the source', () => {
    const files = import.meta.glob<string>(['../**/*.{ts,svelte}', '!../**/*.test.ts'], {
      query: '?raw',
      import: 'default',
      eager: true,
    });
    const source = Object.values(files).join('\n');
    const written = (key: string) => source.includes(`'${key.replace(/_(one|other)$/, '')}'`);
    // Keys put together from a word of the server: `common.role.` and the role.
    const built = (key: string) => source.includes(`\`${key.slice(0, key.lastIndexOf('.') + 1)}\${`);
    expect(Object.keys(en).filter((key) => !written(key) && !built(key))).toEqual([]);
  });
});

describe('words', () => {
  beforeAll(() => setLanguage('fr'));

  it('come in the language that was set', () => {
    expect(t('common.save')).toBe('Enregistrer');
    expect(document.documentElement.lang).toBe('fr');
  });

  it('take their parameters once: a name cannot bring in another', () => {
    expect(filled('{a} {b} {c}', { a: '{b}', b: 2 })).toBe('{b} 2 {c}');
  });

  it('say what the shipped catalogue says, and leave other words in their own language', async () => {
    const shipped = 'Qwen3 4B, can think before it answers.';
    // It is read when somebody asks, and English until it is there.
    expect(told(shipped)).toEqual({ words: shipped, lang: 'en' });
    await vi.waitFor(() =>
      expect(told(shipped)).toEqual({ words: 'Qwen3 4B, peut réfléchir avant de répondre.' }),
    );
    expect(told('Any use, changes and redistribution with the notice kept.')?.words).toMatch(/^Tout usage/);
    // An installed model may bear a shipped name and come from elsewhere.
    expect(told('Our Qwen, trained on the tides.')).toEqual({
      words: 'Our Qwen, trained on the tides.',
      lang: 'en',
    });
    expect(told('constructor')).toEqual({ words: 'constructor', lang: 'en' });
    expect(told(null)).toBeNull();
    await setLanguage('en');
    expect(told(shipped)).toEqual({ words: shipped, lang: 'en' });
    await setLanguage('fr');
  });

  it('count as French does: zero is singular', () => {
    expect(tn('account.coresCount', 0)).toBe('0 cœur');
    expect(tn('account.coresCount', 2)).toBe('2 cœurs');
  });

  it('tell sizes and times in the language', () => {
    expect(formatBytes(1_230_000_000)).toMatch(/^1,2\sGo$/);
    expect(formatBytes(0)).toMatch(/^0/);
    expect(formatAgo('2026-01-01T00:00:00Z', Date.parse('2026-01-01T03:00:00Z'))).toBe('il y a 3 heures');
    expect(formatAgo('nonsense')).toBe('');
  });
});
