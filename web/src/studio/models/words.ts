/** What the machine can hold and what a licence permits, in the reader's language, from the server's numbers. */
import type { Model } from '../../api/types';
import { formatBytes, language, t, translated } from '../../i18n/index.svelte';
import { told } from '../../i18n/told.svelte';

export type Filter = 'all' | 'here' | 'fits';

/** One sentence: fits, is tight, or what is missing. */
export function fitWords(model: Model): string {
  const { fits, verdict, obstacle, needed_bytes: needed, usable_bytes: usable, reason } = model.fit;
  const sizes =
    needed && usable !== undefined ? { needed: formatBytes(needed), usable: formatBytes(usable) } : null;
  if (obstacle === 'engine') return t('studio.fitEngine');
  if (obstacle === 'disk') return t('studio.fitDisk');
  if (!fits && sizes) return t('studio.fitNoMemory', sizes);
  if (!fits) return (language() === 'en' && reason) || t('studio.fitNo');
  if (verdict === 'tight' && sizes) return t('studio.fitTight', sizes);
  return sizes ? t('studio.fitYesNumbers', sizes) : t('studio.fitYes');
}

/** Where a model answers, and so where one's words go; shortly for a list, in full for a card. */
export function whereWords(model: Model, full = false): string {
  const host = model.served_at;
  if (host) return t(full ? 'studio.runsAtLong' : 'studio.runsAt', { host });
  return t(full ? 'studio.runsHereLong' : 'studio.runsHere');
}

/** How a model stands. One that another server holds is here only by name. */
export function stateWords(model: Model): string {
  if (model.unloading) return t('studio.state.unloading');
  if (model.state === 'installed' && model.served_at) return t('studio.elsewhere');
  return t(`studio.state.${model.state}`);
}

export function permitWords(model: Model): string[] {
  const given = model.licence.permits;
  const words = Array.isArray(given) ? given : given ? [given] : [];
  return words.map((word) => translated(`studio.permits.${word}`) ?? word.replaceAll('_', ' '));
}

export function isHere(model: Model): boolean {
  return model.installed ?? ['installed', 'loading', 'loaded'].includes(model.state);
}

/** A stage of a fetch or a load; the server's own word where there is none of ours. */
export function stageWords(stage: string): string {
  return translated(`studio.stage.${stage.replaceAll(' ', '_')}`) ?? stage;
}

/** Whether a fetch is a matter of bytes: later stages count files or rows. */
export function countsBytes(stage: string, total: number): boolean {
  return total > 10_000 || stage === 'fetching';
}

/** Those asked for: what is here first, then what fits from small to large, then the rest. */
export function listed(models: readonly Model[], filter: Filter, search: string): Model[] {
  const wanted = search.trim().toLowerCase();
  const takesRoom = (model: Model) => isHere(model) || model.state === 'fetching' || !!model.partial_bytes;
  const rank = (model: Model) => (takesRoom(model) ? 0 : model.fit.fits ? 1 : 2);
  const size = (model: Model) => model.memory_bytes || model.download_bytes || Number.MAX_SAFE_INTEGER;
  return models
    .filter((model) => filter === 'all' || rank(model) === 0 || (filter === 'fits' && model.fit.fits))
    .filter((model) =>
      [
        model.name,
        model.family ?? '',
        model.description ?? '',
        told(model.description)?.words ?? '',
        ...model.aliases,
      ].some((text) => text.toLowerCase().includes(wanted)),
    )
    .sort((a, b) => rank(a) - rank(b) || size(a) - size(b) || a.name.localeCompare(b.name));
}
