/**
 * One open conversation: its tree, its head, the answer being written, and what can be done with them. Knows the
 * published API through calls.ts; knows nothing of how it is shown.
 */
import { ApiError } from '../api/errors';
import { session } from '../api/session.svelte';
import type { Content, Conversation, ConversationEvent, Entry } from '../api/types';
import { whenIdle } from '../idle';
import { asked, type Turn } from './asking';
import { answer, conversations, type Change, type CompletionArgs } from './calls';
import { foundAgain } from './finding';
import { list } from './list.svelte';
import { Live } from './live.svelte';
import { givenNames, placedEntries, renamed, type Placed } from './placing';
import { sleep } from './sleep';
import { tell } from './tabs';
import { awaitedName } from './titles';
import { EntryTree } from './tree';

const WATCH_MS = 1500;

export class Chat {
  id = $state<string | null>(null);
  about = $state.raw<Conversation | null>(null);
  entries = $state.raw<Entry[]>([]);
  head = $state<string | null>(null);
  live = $state.raw<Live | null>(null);
  liveId = $state<string | null>(null);
  loading = $state(false);
  missing = $state(false);
  /** The connection broke while an answer was written; what was saved is being fetched. */
  lost = $state(false);
  stopping = $state(false);
  temporary = $state(false);
  /** Said once to screen readers when an answer has ended. */
  announcement = $state('');
  model = $state('');
  instructions = $state('');
  args = $state.raw<CompletionArgs>({});
  projectId = $state<string | null>(null);

  readonly tree = $derived(new EntryTree(this.entries));
  readonly path = $derived(this.tree.path(this.head));
  readonly busy = $derived(this.live !== null || this.lost || this.path.at(-1)?.status === 'running');

  /** Called when a new chat has got its id. */
  onstarted: (id: string) => void = () => {};
  onfinished: (entry: Entry) => void = () => {};

  #keys = new Map<string, string>();
  #stream: AbortController | null = null;
  #gone = new AbortController();
  #retry: { turn: string; key: string } | null = null;

  /** The same for an entry before and after the server has named it, so that it keeps its place on the page. */
  keyOf(id: string): string {
    return this.#keys.get(id) ?? id;
  }

  /** Another conversation is shown in its place: what still comes for this one is for nobody. */
  get closed(): boolean {
    return this.#gone.signal.aborted;
  }

  close(): void {
    this.#gone.abort();
    this.#stream?.abort();
  }

  async open(id: string): Promise<void> {
    this.id = id;
    this.loading = true;
    try {
      const [about, history] = await Promise.all([
        conversations.get(id),
        conversations.history(id, this.#gone.signal),
      ]);
      this.#adopt(about);
      this.#take(history.entries, history.head_entry_id);
      void this.#watch();
    } catch (error) {
      if (this.#gone.signal.aborted) return;
      if (error instanceof ApiError && error.status === 404) this.missing = true;
      else throw error;
    } finally {
      this.loading = false;
    }
  }

  /** Reads everything anew, say because another tab has changed it. */
  async reload(): Promise<void> {
    if (!this.id || this.live) return;
    const [about, history] = await Promise.all([
      conversations.get(this.id),
      conversations.history(this.id, this.#gone.signal),
    ]);
    if (this.live) return;
    this.#adopt(about);
    this.#take(history.entries, history.head_entry_id);
    void this.#watch();
  }

  #adopt(about: Conversation): void {
    this.about = about;
    this.model = about.model;
    this.instructions = about.instructions ?? '';
    this.args = about.completion_args ?? {};
    this.projectId = about.project_id ?? null;
  }

  #take(entries: Entry[], head: string | null | undefined): void {
    this.entries = entries;
    this.head = head ?? new EntryTree(entries).newestLeaf();
  }

  // --- asking -------------------------------------------------------------------------------------------------------

  /** Sends words; throws when the server would not have them, and then nothing has changed. */
  send(content: Content): Promise<void> {
    return this.#run({ content, parent: this.head, branch: false, key: this.#keyFor(content) });
  }

  edit(entry: Entry, content: Content): Promise<void> {
    return this.#run({ content, parent: this.tree.parentOf(entry), branch: true, key: crypto.randomUUID() });
  }

  /** Another answer to the same question, from another model if one is named. */
  regenerate(entry: Entry, model?: string): Promise<void> {
    const parent = entry.type === 'message.output' ? this.tree.parentOf(entry) : entry.id;
    return this.#run({
      content: null,
      parent,
      branch: true,
      key: crypto.randomUUID(),
      ...(model ? { model } : {}),
    });
  }

  /** The same words sent again after a failure are the same sending: the server then keeps them once. */
  #keyFor(content: Content): string {
    const turn = JSON.stringify([this.id, this.head, content]);
    if (this.#retry?.turn !== turn) this.#retry = { turn, key: crypto.randomUUID() };
    return this.#retry.key;
  }

  async #run(turn: Turn): Promise<void> {
    if (this.busy) return;
    const before = { entries: this.entries, head: this.head };
    const stream = new AbortController();
    this.#stream = stream;
    // The question leaves first and is shown then: drawing it takes longer than asking.
    const { path, body } = asked(turn, this, before.entries);
    const coming = answer(path, body, turn.key, stream.signal);
    const placed = this.#place(turn);
    let begun = false;
    let over = false;
    try {
      for await (const event of coming) {
        begun = true;
        over = this.#hear(event, placed) || over;
      }
      if (!over && !stream.signal.aborted) throw new ApiError(0, '', 'offline');
      if (!over) this.#end(placed.answer, { status: 'stopped' });
    } catch (error) {
      const refused = error instanceof ApiError ? error : null;
      // Who has to sign in again loses the page, not the words: whoever sent them keeps them as a draft.
      if (this.#gone.signal.aborted && refused?.status !== 401) return;
      if (over) return;
      const repeated = refused?.code === 'already_sent';
      // It did arrive the first time, though nobody heard of it: there is a conversation, and perhaps an answer.
      if (repeated && refused.conversationId) this.#known(refused.conversationId);
      if ((begun && refused?.offline) || (repeated && this.id))
        return await this.#recover(placed.answer, before);
      if (begun)
        this.#end(placed.answer, {
          status: 'failed',
          error: error instanceof Error ? error.message : String(error),
        });
      else {
        this.#unplace(before);
        // Stopped by oneself, the same words are another sending; the server may have kept the question of this one.
        const stopped = stream.signal.aborted;
        if (stopped || repeated) this.#retry = null;
        if (stopped || refused?.code === 'answer_running') void this.reload().catch(() => {});
        throw error;
      }
    } finally {
      if (this.#stream === stream) this.#stream = null;
      this.stopping = false;
    }
  }

  /** Shows question and beginning answer at once, under names of our own. */
  #place(turn: Turn): Placed {
    const { placed, added } = placedEntries(turn.content, turn.parent, turn.model ?? this.model);
    this.entries = [...this.entries, ...added];
    this.head = placed.answer;
    this.live = new Live();
    this.liveId = placed.answer;
    return placed;
  }

  #unplace(before: { entries: Entry[]; head: string | null }): void {
    this.entries = before.entries;
    this.head = before.head;
    this.live = null;
    this.liveId = null;
  }

  /** True when the answer is over. */
  #hear(event: ConversationEvent, placed: Placed): boolean {
    switch (event.type) {
      case 'conversation.response.started':
        this.#started(event, placed);
        return false;
      case 'message.output.delta':
        this.live?.add(event.content);
        return false;
      case 'conversation.response.done': {
        const reason = event.usage?.tramontane?.finish_reason;
        this.#end(placed.answer, {
          status: reason === 'stopped' || reason === 'cancelled' ? 'stopped' : 'done',
          usage: event.usage,
        });
        return true;
      }
      case 'conversation.response.error':
        this.#end(placed.answer, { status: 'failed', error: { message: event.message, code: event.code } });
        return true;
    }
  }

  #started(
    event: Extract<ConversationEvent, { type: 'conversation.response.started' }>,
    placed: Placed,
  ): void {
    const names = givenNames(event, placed);
    for (const [own, given] of names) this.#keys.set(given, this.keyOf(own));
    const named = (id: string | null) => (id === null ? null : (names.get(id) ?? id));
    this.entries = renamed(this.entries, names);
    this.head = named(this.head);
    this.liveId = named(this.liveId);
    placed.answer = names.get(placed.answer) ?? placed.answer;
    this.#retry = null;
    if (!this.temporary) this.#known(event.conversation_id);
  }

  /** There is a conversation, and this is its id. */
  #known(id: string): void {
    const fresh = this.id === null;
    // Other tabs see the question soon and the answer as it is saved; the words of this one come first.
    whenIdle(() => {
      tell({ kind: 'conversation', id });
      if (!fresh) return;
      void list.refresh();
      tell({ kind: 'list' });
    });
    if (!fresh) return;
    this.id = id;
    this.onstarted(id);
  }

  #end(id: string, change: Partial<Entry>): void {
    const live = this.live;
    live?.flush();
    const content = live?.content ?? '';
    this.entries = this.entries.map((entry) =>
      entry.id === id ? { ...entry, content, ...change, completed_at: new Date().toISOString() } : entry,
    );
    this.live = null;
    this.liveId = null;
    this.lost = false;
    const entry = this.tree.get(id);
    if (entry) this.onfinished(entry);
    if (!this.id || this.temporary) return;
    tell({ kind: 'conversation', id: this.id });
    if (entry?.model && entry.model !== this.model) void this.#refreshAbout();
    void this.#awaitTitle();
  }

  async #refreshAbout(): Promise<void> {
    if (!this.id) return;
    await conversations.get(this.id).then(
      (about) => this.#adopt(about),
      () => {},
    );
  }

  async #awaitTitle(): Promise<void> {
    const first = this.path.filter((entry) => entry.type === 'message.output').length === 1;
    await list.refresh();
    if (!first || !this.id) return;
    const name = await awaitedName(this.id, () => this.about?.name, this.#gone.signal);
    if (name === null) return;
    if (this.about) this.about = { ...this.about, name };
    else void this.#refreshAbout();
    void list.refresh();
    tell({ kind: 'list' });
  }

  // --- stopping, losing, finding again ------------------------------------------------------------------------------

  async stop(): Promise<void> {
    if (!this.busy || this.stopping) return;
    this.stopping = true;
    const stream = this.#stream;
    if (!this.id || this.temporary) {
      stream?.abort();
      return;
    }
    // The server ends the stream with its last word; should it not, we leave.
    const leave = setTimeout(() => stream?.abort(), 3000);
    try {
      await conversations.stop(this.id);
    } catch {
      stream?.abort();
    }
    if (!stream) {
      clearTimeout(leave);
      this.stopping = false;
      await this.reload();
    }
  }

  /** After a broken connection: asks until the server is back, then shows what it has saved. */
  async #recover(answerId: string, before: { entries: Entry[]; head: string | null }): Promise<void> {
    this.live?.flush();
    if (!this.id || this.temporary) {
      this.#end(answerId, { status: 'interrupted' });
      return;
    }
    this.lost = true;
    const shown = this.live?.content ?? '';
    this.entries = this.entries.map((entry) =>
      entry.id === answerId ? { ...entry, content: shown } : entry,
    );
    this.live = null;
    this.liveId = null;
    try {
      const history = await foundAgain(this.id, this.#gone.signal);
      if (!history) return;
      this.#take(history.entries, history.head_entry_id);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) this.#unplace(before);
      throw error;
    } finally {
      this.lost = false;
    }
    tell({ kind: 'conversation', id: this.id });
    if (!this.about) void this.#refreshAbout();
    await this.#watch();
  }

  /** An answer that another tab is having written: looked at again until it is done. */
  async #watch(): Promise<void> {
    const id = this.id;
    while (id && !this.live && this.path.at(-1)?.status === 'running' && !this.#gone.signal.aborted) {
      await sleep(WATCH_MS);
      if (this.live || this.#gone.signal.aborted) return;
      try {
        const history = await conversations.history(id, this.#gone.signal);
        if (!this.live) this.#take(history.entries, history.head_entry_id);
      } catch {
        // Out of reach for now; looked at again.
      }
    }
  }

  // --- branches and settings ----------------------------------------------------------------------------------------

  async show(entryId: string): Promise<void> {
    if (this.busy) return;
    this.head = this.tree.leafUnder(entryId);
    if (this.id && !this.temporary && this.head)
      await conversations.change(this.id, { head_entry_id: this.head });
  }

  /** Changes what the conversation is set to, here and, where it is kept, at the server. */
  async set(change: Change): Promise<void> {
    if (change.model !== undefined) this.model = change.model;
    if (change.instructions !== undefined) this.instructions = change.instructions ?? '';
    if (change.completion_args !== undefined) this.args = change.completion_args ?? {};
    if (change.project_id !== undefined) this.projectId = change.project_id;
    if (!this.id || this.temporary) return;
    const about = await conversations.change(this.id, change);
    this.about = about;
    void list.refresh();
    tell({ kind: 'conversation', id: this.id });
  }
}

export function newChat(): Chat {
  const chat = new Chat();
  chat.model = session.info?.default_model ?? '';
  return chat;
}
