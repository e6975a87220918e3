/** One answer of the server on a page: loading, there, or failed with a reason; asked again with `load`. */
import { reason } from '../parts/toast.svelte';

export class Resource<T> {
  value = $state<T | null>(null);
  failed = $state<string | null>(null);
  #asked = 0;

  constructor(private readonly ask: () => Promise<T>) {}

  /** The newest answer wins; one that comes late is dropped. What was there stays until the new one is. */
  async load(): Promise<void> {
    const number = ++this.#asked;
    try {
      const value = await this.ask();
      if (number !== this.#asked) return;
      this.value = value;
      this.failed = null;
    } catch (error) {
      if (number === this.#asked) this.failed = reason(error);
    }
  }
}
