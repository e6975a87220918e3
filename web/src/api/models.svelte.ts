/**
 * The models of this machine, one copy for every page that shows them, kept fresh by the server's events while
 * somebody looks: `const done = models.watch()`, and `done()` when the page goes.
 */
import { toastError } from '../parts/toast.svelte';
import { api, streamed } from './client';
import { pullProgress } from './sse';
import type { Machine, Model, ModelsAnswer, PullProgress } from './types';

const AGAIN_MS = [1000, 2000, 5000, 10_000];

class Models {
  list = $state.raw<Model[] | null>(null);
  machine = $state.raw<Machine | null>(null);
  /** By model name, while it is on its way. */
  progress = $state<Record<string, PullProgress>>({});
  failed = $state<unknown>(null);
  #watchers = 0;
  #stop: AbortController | null = null;

  get(name: string | null): Model | null {
    return this.list?.find((model) => model.name === name || model.aliases.includes(name ?? '')) ?? null;
  }

  async load(): Promise<void> {
    try {
      const answer = await api.get<ModelsAnswer>('/web/models');
      this.list = answer.models;
      this.machine = answer.machine;
      this.failed = null;
      for (const name of Object.keys(this.progress)) {
        if (answer.models.find((model) => model.name === name)?.state !== 'fetching')
          delete this.progress[name];
      }
    } catch (error) {
      this.failed = error;
    }
  }

  watch(): () => void {
    if (++this.#watchers === 1) {
      this.#stop = new AbortController();
      void this.#follow(this.#stop.signal);
    }
    return () => {
      if (--this.#watchers === 0) this.#stop?.abort();
    };
  }

  async #follow(signal: AbortSignal): Promise<void> {
    for (let tries = 0; !signal.aborted; tries++) {
      await this.load();
      try {
        for await (const frame of streamed('GET', '/web/models/events', undefined, { signal })) {
          tries = 0;
          const step = pullProgress(frame);
          if (step) this.progress[step.name] = step;
          else if (frame.event === 'state' && this.#differs(frame.data)) await this.load();
        }
      } catch {
        // The server restarts or the line is down; what is on the page stays, and we come again.
      }
      if (signal.aborted) return;
      await new Promise((again) => setTimeout(again, AGAIN_MS[Math.min(tries, AGAIN_MS.length - 1)]));
    }
  }

  /** Whether the states told of are others than those shown; what is no such map counts as news. */
  #differs(told: unknown): boolean {
    const states = (told as { states?: Record<string, string> } | null)?.states;
    const shown = this.list;
    if (!states || !shown || Object.keys(states).length !== shown.length) return true;
    return shown.some((model) => states[model.name] !== model.state || model.unloading);
  }

  /** The verbs; what they bring about comes back as events, and a refusal as a note. True when the server took it. */
  async #ask(name: string, verb: string): Promise<boolean> {
    try {
      await api.post(`/web/models/${encodeURIComponent(name)}/${verb}`);
      await this.load();
      return true;
    } catch (error) {
      toastError(error);
      return false;
    }
  }

  pull = (name: string) => this.#ask(name, 'pull');
  cancel = (name: string) => this.#ask(name, 'cancel');
  bring = (name: string) => this.#ask(name, 'load');
  unload = (name: string) => this.#ask(name, 'unload');
  acceptLicence = (name: string) => this.#ask(name, 'accept-licence');

  /** Throws what refuses the name, for the form that asks for it. */
  async giveName(name: string, alias: string): Promise<void> {
    await api.post(`/web/models/${encodeURIComponent(name)}/aliases`, { alias });
    await this.load();
  }

  async dropName(name: string, alias: string): Promise<void> {
    await api.delete(`/web/models/${encodeURIComponent(name)}/aliases/${encodeURIComponent(alias)}`);
    await this.load();
  }

  async remove(name: string): Promise<void> {
    await api.delete(`/web/models/${encodeURIComponent(name)}`);
    await this.load();
  }
}

export const models = new Models();
