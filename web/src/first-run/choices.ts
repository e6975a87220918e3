/** Which models the first run offers, and in which order. */
import type { Model } from '../api/types';

export function isHere(model: Model): boolean {
  return model.state === 'installed' || model.state === 'loading' || model.state === 'loaded';
}

function chats(model: Model): boolean {
  return (
    model.capabilities.length === 0 ||
    model.capabilities.some((one) => one === 'chat' || one === 'completion_chat')
  );
}

/** Those one can talk to: what is here, then what fits from small to large, then what does not fit. */
export function choices(models: Model[]): Model[] {
  const rank = (model: Model) => (isHere(model) ? 0 : model.fit.fits ? 1 : 2);
  const size = (model: Model) => model.memory_bytes ?? model.download_bytes ?? 0;
  return models
    .filter(chats)
    .sort((a, b) => rank(a) - rank(b) || size(a) - size(b) || a.name.localeCompare(b.name));
}
