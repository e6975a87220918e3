/**
 * Files that go with a message not yet sent, kept in this browser per person and conversation. The oldest give way; more
 * than fits is not kept at all, and whoever asks is told. Knows nothing of what the files are.
 */
const DATABASE = 'tramontane';
const STORE = 'unsent_files';
const BY_AGE = 'by_age';
/** A browser that does not answer must hold nobody up on their way out. */
const PATIENCE_MS = 2000;

export const MOST_KEPT_BYTES = 50_000_000;

export interface Sized {
  size: number;
}

interface Row {
  person: string;
  conversation: string;
  at: number;
  size: number;
  files: Sized[];
}

/** What of one person stands in the database: name, age and size, without the files. */
export interface Standing {
  conversation: string;
  at: number;
  size: number;
}

/** Which conversations' files go, oldest first, so that `coming` bytes have room. */
export function givingWay(standing: readonly Standing[], coming: number, most = MOST_KEPT_BYTES): string[] {
  const going: string[] = [];
  let held = coming + standing.reduce((sum, one) => sum + one.size, 0);
  for (const one of [...standing].sort((a, b) => a.at - b.at)) {
    if (held <= most) break;
    held -= one.size;
    going.push(one.conversation);
  }
  return going;
}

let opened: Promise<IDBDatabase> | null = null;

function open(): Promise<IDBDatabase> {
  opened ??= new Promise<IDBDatabase>((resolve, reject) => {
    const asked = indexedDB.open(DATABASE, 1);
    asked.onupgradeneeded = () => {
      const store = asked.result.createObjectStore(STORE, { keyPath: ['person', 'conversation'] });
      store.createIndex(BY_AGE, ['person', 'at', 'size']);
    };
    asked.onsuccess = () => {
      const database = asked.result;
      // Another tab wants to change or remove it, or the browser took it away: opened again when it is needed.
      database.onversionchange = () => {
        database.close();
        opened = null;
      };
      database.onclose = () => (opened = null);
      resolve(database);
    };
    asked.onerror = () => reject(asked.error ?? new Error(DATABASE));
  }).catch((error: unknown) => {
    opened = null;
    throw error;
  });
  return opened;
}

/** One transaction, over when the browser has written it down. `work` must ask for everything before it returns. */
async function within(mode: IDBTransactionMode, work: (store: IDBObjectStore) => void): Promise<void> {
  const database = await open();
  await new Promise<void>((resolve, reject) => {
    const transaction = database.transaction(STORE, mode);
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error(STORE));
    work(transaction.objectStore(STORE));
  });
}

const all = (person: string) => IDBKeyRange.bound([person], [person, []]);

export class KeptFiles<Kept extends Sized> {
  constructor(private readonly person: string) {}

  /** Those of one conversation; none where nothing was kept or storage is shut. */
  async read(conversation: string): Promise<Kept[]> {
    let found: Row | undefined;
    try {
      await within('readonly', (store) => {
        const asked = store.get([this.person, conversation]) as IDBRequest<Row | undefined>;
        asked.onsuccess = () => (found = asked.result);
      });
    } catch {
      return [];
    }
    return (found?.files ?? []) as Kept[];
  }

  /** Keeps these in place of what was there; none takes them away. False when they are not kept. */
  async keep(conversation: string, files: readonly Kept[]): Promise<boolean> {
    const size = files.reduce((sum, one) => sum + one.size, 0);
    const fits = size <= MOST_KEPT_BYTES;
    try {
      await within('readwrite', (store) => {
        store.delete([this.person, conversation]);
        if (files.length === 0 || !fits) return;
        this.#makeRoom(store, size, () => {
          const row: Row = { person: this.person, conversation, at: Date.now(), size, files: [...files] };
          store.put(row);
        });
      });
      return fits;
    } catch {
      return files.length === 0;
    }
  }

  #makeRoom(store: IDBObjectStore, coming: number, then: () => void): void {
    const standing: Standing[] = [];
    // The index names age and size, so that no file is read for this.
    const asked = store.index(BY_AGE).openKeyCursor(all(this.person));
    asked.onsuccess = () => {
      const cursor = asked.result;
      if (cursor) {
        const [, at, size] = cursor.key as [string, number, number];
        standing.push({ conversation: (cursor.primaryKey as string[])[1] ?? '', at, size });
        cursor.continue();
        return;
      }
      for (const gone of givingWay(standing, coming)) store.delete([this.person, gone]);
      then();
    };
  }
}

/** Takes away all that is kept of this person, before somebody else sits down here. */
export async function forgetFiles(person: string): Promise<void> {
  const gone = within('readwrite', (store) => void store.delete(all(person))).catch(() => {
    // Storage is shut, so nothing is kept.
  });
  await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
}
