/** What a model is good for, in the reader's words. The server gives words of a closed set; new ones are left out. */
import type { Model } from '../api/types';
import { translated } from '../i18n/index.svelte';

export function purposes(model: Model): string[] {
  const given = Array.isArray(model.good_for) ? model.good_for : model.good_for ? [model.good_for] : [];
  return given.map((word) => translated(`studio.goodFor.${word}`)).filter((words) => words !== null);
}
