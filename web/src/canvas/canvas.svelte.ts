/**
 * The document open beside the chat: its versions, the words being edited, and a change that a model was asked for.
 * Documents of kept chats live at the server; those of temporary chats only here.
 */
import { ApiError } from '../api/errors';
import { session } from '../api/session.svelte';
import type { CanvasDocument, DocumentVersion, Entry } from '../api/types';
import { documents } from '../chat/calls';
import type { Chat } from '../chat/chat.svelte';
import { browserStorage, Drafts, LONGEST_DRAFT } from '../chat/drafts';
import { spoken } from '../chat/content';
import { ui } from '../chat/ui.svelte';
import { t } from '../i18n/index.svelte';
import type { OfferedCode } from '../markdown/opener';
import { toast, toastError } from '../parts/toast.svelte';
import { fenced, kindOf, newVersion, titleFor } from './change';

class Canvas {
  open = $state.raw<CanvasDocument | null>(null);
  all = $state.raw<CanvasDocument[]>([]);
  text = $state('');
  busy = $state(false);
  /** The next finished answer is to become a version of this document. */
  awaited = $state<string | null>(null);

  readonly versions = $derived(this.open?.versions ?? []);
  readonly newest = $derived<DocumentVersion | undefined>(this.versions.at(-1));
  readonly dirty = $derived(this.newest !== undefined && this.text !== this.newest.content);
}

export const canvas = new Canvas();

function shown(document: CanvasDocument): void {
  // The server may list the newest first.
  const versions = [...(document.versions ?? [])].sort((a, b) => a.version - b.version);
  canvas.open = { ...document, versions };
  canvas.text = drafts().read(draftOf(document.id)) || (versions.at(-1)?.content ?? '');
}

const drafts = () => new Drafts(browserStorage(), session.person?.id ?? '');
const draftOf = (id: string) => `document/${id}`;

/** Words that are no version yet survive a reload. A text too long to be kept whole is not kept in part. */
export function keepDraft(chat: Chat): void {
  if (!canvas.open || !kept(chat)) return;
  const whole = canvas.dirty && canvas.text.length <= LONGEST_DRAFT;
  drafts().keep(draftOf(canvas.open.id), whole ? canvas.text : '');
}

export function closeCanvas(): void {
  canvas.open = null;
  canvas.all = [];
  canvas.awaited = null;
}

/** Another conversation is opened: what was written here is saved as closing the panel would have saved it. */
export function leaveCanvas(chat: Chat): void {
  saveIfDirty(chat).catch(toastError);
  closeCanvas();
}

const kept = (chat: Chat): chat is Chat & { id: string } => chat.id !== null && !chat.temporary;

/** Opens words from an answer as a document; the same words from before are opened again, not made twice. */
export async function openDocument(chat: Chat, entryId: string | null, code: OfferedCode): Promise<void> {
  const kind = kindOf(code.label);
  const title = titleFor(
    code.text,
    kind,
    code.label ? t('chat.codeDocument', { language: code.label }) : t('chat.document'),
  );
  try {
    if (!kept(chat)) {
      const version = {
        version: 1,
        content: code.text,
        author: 'model' as const,
        created_at: new Date().toISOString(),
      };
      shown({ id: `local-${crypto.randomUUID()}`, title, kind, language: code.label, versions: [version] });
    } else {
      await saveIfDirty(chat);
      const found = await same(chat.id, title, code.text);
      const made =
        found ??
        (await documents.make(chat.id, {
          title,
          kind,
          language: code.label || undefined,
          content: code.text,
          entry_id: entryId ?? undefined,
        }));
      await load(chat, made.id);
    }
    if (!chat.closed) ui.panel = 'canvas';
  } catch (error) {
    toastError(error);
  }
}

async function same(conversation: string, title: string, content: string): Promise<CanvasDocument | null> {
  for (const one of (await documents.list(conversation)).filter((document) => document.title === title)) {
    const whole = await documents.get(conversation, one.id);
    if (whole.versions?.some((version) => version.content === content)) return whole;
  }
  return null;
}

/** Shows it as the server has it; of the open one, what was typed since the field held `before` stays there. */
export async function load(chat: Chat, id: string, before?: string): Promise<void> {
  if (!kept(chat)) return;
  const [document, all] = await Promise.all([documents.get(chat.id, id), documents.list(chat.id)]);
  // Whoever has gone on to another chat must not find this one's document there.
  if (chat.closed) return;
  const typed = before === undefined || canvas.text === before ? null : canvas.text;
  shown(document);
  if (typed !== null) canvas.text = typed;
  canvas.all = all;
}

/** Opens the conversation's documents from the menu: the latest of them, if there is one. */
export async function openLatest(chat: Chat): Promise<void> {
  if (!kept(chat)) return;
  const latest = (await documents.list(chat.id)).at(-1);
  if (!latest) {
    toast(t('chat.noDocuments'));
    return;
  }
  await load(chat, latest.id);
  if (!chat.closed) ui.panel = 'canvas';
}

export async function saveVersion(chat: Chat, content: string, author: 'person' | 'model'): Promise<void> {
  const { open, newest } = canvas;
  if (!open || !newest || content === newest.content) return;
  if (!kept(chat)) {
    shown({
      ...open,
      versions: [
        ...canvas.versions,
        { version: newest.version + 1, content, author, created_at: new Date().toISOString() },
      ],
    });
    return;
  }
  const before = canvas.text;
  canvas.busy = true;
  try {
    await documents.add(chat.id, open.id, { content, author, base_version: newest.version });
    drafts().keep(draftOf(open.id), '');
    if (canvas.open?.id === open.id) await load(chat, open.id, before);
  } catch (error) {
    if (error instanceof ApiError && error.code === 'not_the_newest') await conflict(chat, open.id, content);
    else throw error;
  } finally {
    canvas.busy = false;
  }
}

/** Somebody else (another tab, a model) was quicker: their version is shown as the newest, one's own words stay. */
async function conflict(chat: Chat, id: string, content: string): Promise<void> {
  if (canvas.open?.id === id) {
    await load(chat, id);
    if (canvas.open?.id === id) canvas.text = content;
  }
  toast(t('chat.versionConflict'), { kind: 'error' });
}

export async function saveIfDirty(chat: Chat): Promise<void> {
  // Should the page go before the server has it, or should that refuse it, the words are still here.
  keepDraft(chat);
  if (canvas.dirty) await saveVersion(chat, canvas.text, 'person');
}

/** Sends the present version with a wish; the answer's block becomes the next version. */
export async function askForChange(chat: Chat, wish: string): Promise<void> {
  await saveIfDirty(chat);
  const { open, newest } = canvas;
  if (!open || !newest) return;
  canvas.awaited = open.id;
  const words = t('chat.changeAsk', { title: open.title });
  try {
    await chat.send(
      `${wish}\n\n${words}\n\n${fenced(newest.content, open.language || (open.kind === 'markdown' ? 'markdown' : open.kind))}`,
    );
  } catch (error) {
    canvas.awaited = null;
    throw error;
  }
}

/** What was written while the model wrote stays in the field, above the version that has come. */
async function takeVersion(chat: Chat, content: string): Promise<void> {
  const mine = canvas.dirty ? canvas.text : null;
  await saveVersion(chat, content, 'model');
  if (mine === null) return;
  // Unless one has written on since.
  if (canvas.text === content) canvas.text = mine;
  toast(t('chat.versionConflict'), { kind: 'error' });
}

/** Hears of every finished answer; takes the one it waits for. */
export function takeAnswer(chat: Chat, entry: Entry): void {
  const { open, awaited } = canvas;
  canvas.awaited = null;
  if (!open || awaited !== open.id || entry.status !== 'done') return;
  const found = newVersion(spoken(entry.content).text, open.kind, open.language ?? '');
  if (found === null) toast(t('chat.noNewVersion'));
  else void takeVersion(chat, found).catch(toastError);
}
