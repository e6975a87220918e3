/** The person's conversations as the sidebar shows them: pages fetched as one scrolls, changes shown at once. */
import { whenFull } from '../api/client';
import type { Conversation, Project } from '../api/types';
import { t } from '../i18n/index.svelte';
import { dismiss, toast, toastError } from '../parts/toast.svelte';
import { conversations, projects, type Change } from './calls';
import { forgetUnsent } from './composer/unsent';
import { listen, tell } from './tabs';

const PAGE = 60;

class ConversationList {
  items = $state.raw<Conversation[]>([]);
  projects = $state.raw<Project[]>([]);
  archived = $state(false);
  loaded = $state(false);
  failed = $state(false);
  more = $state(false);

  #pages = 1;
  #loading = false;
  #again = false;
  /** Deleted here, and perhaps not yet at the server. */
  #leaving = new Set<string>();
  /** What carries out those deletions that can still be undone or are on their way. */
  #pending = new Set<() => Promise<void>>();

  constructor() {
    listen((news) => {
      if (this.loaded || news.kind === 'list') void this.refresh();
    });
    whenFull(() => this.settle());
  }

  /** Reads all pages shown so far anew; calls that come meanwhile are one more reading. */
  async refresh(): Promise<void> {
    if (this.#loading) {
      this.#again = true;
      return;
    }
    this.#loading = true;
    try {
      do {
        this.#again = false;
        const found = await conversations.list({
          page: 0,
          page_size: PAGE * this.#pages,
          archived: this.archived,
        });
        this.more = found.length >= PAGE * this.#pages;
        this.items = found.filter((one) => !this.#leaving.has(one.id));
        this.failed = false;
      } while (this.#again);
    } catch {
      // Said by the list itself, which stays as it was.
      this.failed = true;
    } finally {
      this.loaded = true;
      this.#loading = false;
    }
  }

  async loadMore(): Promise<void> {
    if (this.#loading || !this.more) return;
    this.#loading = true;
    try {
      const found = await conversations.list({ page: this.#pages, page_size: PAGE, archived: this.archived });
      const known = new Set(this.items.map((one) => one.id));
      this.items = [
        ...this.items,
        ...found.filter((one) => !known.has(one.id) && !this.#leaving.has(one.id)),
      ];
      this.#pages += 1;
      this.more = found.length >= PAGE;
    } catch {
      this.failed = true;
    } finally {
      this.#loading = false;
    }
  }

  showArchived(archived: boolean): void {
    this.archived = archived;
    this.#pages = 1;
    this.items = [];
    this.loaded = false;
    void this.refresh();
  }

  async refreshProjects(): Promise<void> {
    try {
      this.projects = await projects.list();
    } catch {
      // Projects are an extra; the list stands without.
    }
  }

  async change(id: string, change: Change): Promise<void> {
    const before = this.items;
    this.items = this.items.map((one) => (one.id === id ? ({ ...one, ...change } as Conversation) : one));
    if (change.archived !== undefined) this.items = this.items.filter((one) => one.id !== id);
    try {
      await conversations.change(id, change);
      tell({ kind: 'conversation', id });
      await this.refresh();
    } catch (error) {
      this.items = before;
      toastError(error);
    }
  }

  /** Takes a conversation away, really only when the note with its undo has gone. */
  remove(id: string): void {
    this.#leaving.add(id);
    this.items = this.items.filter((one) => one.id !== id);
    let going: Promise<void> | null = null;
    const forGood = (keepalive = false) => {
      removeEventListener('pagehide', leaving);
      // Should it go for want of room or with the page, an undo would come too late.
      void dismiss(note, true);
      return (going ??= this.#remove(id, keepalive).finally(() => this.#pending.delete(forGood)));
    };
    const undo = () => {
      removeEventListener('pagehide', leaving);
      this.#pending.delete(forGood);
      this.#leaving.delete(id);
      void this.refresh();
    };
    const note = toast(t('chat.deleted'), {
      action: { label: t('common.undo'), run: undo },
      gone: () => forGood(),
    });
    const leaving = () => void forGood(true);
    this.#pending.add(forGood);
    addEventListener('pagehide', leaving);
  }

  async #remove(id: string, keepalive: boolean): Promise<void> {
    try {
      await conversations.remove(id, { keepalive });
      forgetUnsent(id);
      tell({ kind: 'list' });
    } catch (error) {
      this.#leaving.delete(id);
      toastError(error);
      void this.refresh();
    }
  }

  /** Carries out at once what could still be undone; false when nothing could. */
  async settle(): Promise<boolean> {
    const pending = [...this.#pending];
    await Promise.all(pending.map((forGood) => forGood()));
    return pending.length > 0;
  }
}

export const list = new ConversationList();
