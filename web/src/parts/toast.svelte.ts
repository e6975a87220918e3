/** Short notes at the edge of the page: `toast('Deleted', {action: {label: 'Undo', run}})`. Shown by Toasts.svelte. */
import { ApiError } from '../api/errors';
import { t } from '../i18n/index.svelte';
import { refusalWords } from '../i18n/refusals';

export interface Toast {
  id: number;
  text: string;
  kind: 'plain' | 'error';
  action?: { label: string; run: () => void };
  /** Called once when the note goes without its action having been taken; what it promises can be waited for. */
  gone?: () => void | Promise<void>;
  lasts_ms: number;
}

type Options = Partial<Pick<Toast, 'kind' | 'action' | 'gone' | 'lasts_ms'>>;

const MOST = 4;
let number = 0;

class Toasts {
  shown = $state<Toast[]>([]);
}

export const toasts = new Toasts();

export function toast(text: string, options: Options = {}): number {
  const note: Toast = {
    id: ++number,
    text,
    kind: 'plain',
    lasts_ms: options.action ? 8000 : 5000,
    ...options,
  };
  while (toasts.shown.length >= MOST) void dismiss(toasts.shown[0]!.id);
  toasts.shown.push(note);
  return note.id;
}

/** What an error says to a person: in the words of the page where it has some, else in the server's. */
export function reason(error: unknown): string {
  if (error instanceof ApiError) {
    if (error.offline) return t('common.serverUnreachable');
    return refusalWords(error.code) ?? error.message;
  }
  // What one has called off oneself needs no words.
  if (error instanceof Error && error.name === 'AbortError') return '';
  return error instanceof Error ? error.message : String(error);
}

export function toastError(error: unknown): void {
  const words = reason(error);
  if (words) toast(words, { kind: 'error', lasts_ms: 10_000 });
}

export function dismiss(id: number, acted = false): void | Promise<void> {
  const note = toasts.shown.find((one) => one.id === id);
  if (!note) return;
  toasts.shown = toasts.shown.filter((one) => one.id !== id);
  if (!acted) return note.gone?.();
}

/** Takes all notes away and waits for what their going brings about: before the session changes under them. */
export async function dismissAll(): Promise<void> {
  await Promise.all(toasts.shown.map((note) => dismiss(note.id)));
}
