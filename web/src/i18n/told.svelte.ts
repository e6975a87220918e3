/** What the server's catalogue says of models and licences, in the page's language. Read when somebody first asks for it. */
import type { Language } from '../api/types';
import { language, type Words } from './index.svelte';

/** English is what the catalogue is written in. */
const LOADERS: Partial<Record<Language, () => Promise<{ default: Words }>>> = {
  fr: () => import('./fr/told'),
};

class Told {
  words = $state.raw<Partial<Record<Language, Words>>>({});
  readonly #asked = new Set<Language>();

  async read(wanted: Language): Promise<void> {
    if (this.#asked.has(wanted)) return;
    this.#asked.add(wanted);
    try {
      const loaded = await LOADERS[wanted]?.();
      if (loaded) this.words = { ...this.words, [wanted]: loaded.default };
    } catch {
      // Out of reach: it stays in English until somebody asks again.
      this.#asked.delete(wanted);
    }
  }
}

const known = new Told();

/**
 * The words in the page's language where they are those of the shipped catalogue; else as they are, which is taken for
 * English. Reactive.
 */
export function told(words: string | null | undefined): { words: string; lang?: Language } | null {
  if (!words) return null;
  void known.read(language());
  const here = known.words[language()];
  return here && Object.hasOwn(here, words) ? { words: here[words] ?? words } : { words, lang: 'en' };
}
