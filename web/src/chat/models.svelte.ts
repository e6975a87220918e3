/** The models one can talk to: what each is good for and whether it is in memory. Read when needed, and again. */
import { models } from '../api/models.svelte';
import type { Model } from '../api/types';
import { told } from '../i18n/told.svelte';
import { purposes } from '../studio/purposes';

class Catalogue {
  /** Those that are here and can talk. */
  readonly talking = $derived(
    (models.list ?? []).filter(
      (model) => ['installed', 'loading', 'loaded'].includes(model.state) && talks(model),
    ),
  );
  readonly loaded = $derived(models.list !== null || models.failed !== null);

  #reading: Promise<void> | null = null;

  refresh(): Promise<void> {
    this.#reading ??= models.load().finally(() => (this.#reading = null));
    return this.#reading;
  }

  named(name: string): Model | null {
    return models.get(name);
  }

  /** Whether a model could be asked; one nothing is known of yet is believed to be. */
  here(name: string): boolean {
    if (!this.loaded || models.list === null) return true;
    const model = this.named(name);
    return model !== null && model.state !== 'absent' && model.state !== 'fetching';
  }

  /** Who answers in place of a model that is not here (of an import, or taken away since); null where none has to. */
  standIn(name: string, preferred: string): string | null {
    if (this.here(name)) return null;
    const other = this.talking.find((model) => model === this.named(preferred)) ?? this.talking[0];
    return other?.name ?? null;
  }

  /** Whether pictures may be sent; unknown models are given the benefit of the doubt, the server decides. */
  sees(name: string): boolean {
    const model = this.named(name);
    return !model || model.capabilities.some((one) => /vision|image/.test(one));
  }
}

function talks(model: Model): boolean {
  if (model.capabilities.length === 0) return true;
  return model.capabilities.some((one) => /chat|completion|conversation/.test(one));
}

export function goodFor(model: Model): string {
  return (purposes(model).join(', ') || told(model.description)?.words) ?? '';
}

export const catalogue = new Catalogue();
