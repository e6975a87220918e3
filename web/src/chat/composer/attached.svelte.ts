/**
 * The files that wait with a question that is being written, chat by chat, also over a reload. Knows nothing of words and
 * of sending.
 */
import type { KeptFiles } from '../../api/files';
import { formatBytes, t } from '../../i18n/index.svelte';
import {
  attach,
  LARGEST_IMAGE_BYTES,
  LARGEST_TEXT_BYTES,
  MOST_FILES,
  refusal,
  type Attachment,
  type Refusal,
} from '../attachments';
import { catalogue } from '../models.svelte';

/** One stay with one chat; null is a chat that keeps nothing. A new chat gets its name while one is there. */
interface Stay {
  place: string | null;
}

export class Attached {
  all = $state.raw<Attachment[]>([]);
  /** What is attached would be gone after a reload. */
  fleeting = $state(false);
  #here: Stay = { place: null };
  #laidAside = new Map<string, Attachment[]>();
  /** Places of which something stands in the browser, so that a question without files asks nothing of it. */
  #written = new Set<string>();

  constructor(private readonly kept: Pick<KeptFiles<Attachment>, 'read' | 'keep'>) {}

  /** Goes to another chat, whose files come from memory or from an earlier page. */
  arrive(place: string | null): void {
    if (this.#here.place !== null) this.#laidAside.set(this.#here.place, this.all);
    this.#here = { place };
    this.fleeting = false;
    const known = place === null ? [] : this.#laidAside.get(place);
    this.all = known ?? [];
    if (known === undefined) void this.#restore(this.#here);
    else void this.#keep(place, known);
  }

  /** The same chat has got its name, or is kept no more, or is from now on. */
  rename(place: string | null): void {
    void this.#keep(this.#here.place, []);
    if (this.#here.place !== null) this.#laidAside.delete(this.#here.place);
    this.#here.place = place;
    void this.#keep(place, this.all);
  }

  /** Takes what may go to this model; says why something may not, or nothing. */
  async add(given: Iterable<File>, model: string): Promise<string> {
    const stay = this.#here;
    let problem = '';
    // What a picker or a drop gives is emptied as soon as its event is over.
    for (const file of [...given]) {
      const refused = refusal(file, this.#at(stay).length, catalogue.sees(model));
      const result = refused ?? (await attach(file));
      if (typeof result === 'string') problem = `${file.name}: ${words(result, model)}`;
      else this.#set(stay, [...this.#at(stay), result]);
    }
    return problem;
  }

  remove(file: Attachment): void {
    this.#set(
      this.#here,
      this.all.filter((one) => one !== file),
    );
  }

  /** All of them, which go with a question now. */
  take(): Attachment[] {
    const taken = this.all;
    this.#set(this.#here, []);
    return taken;
  }

  /** They could not be sent, and wait again where they did; what was attached since stays too. */
  giveBack(place: string | null, files: readonly Attachment[]): void {
    const stay = place === this.#here.place ? this.#here : { place };
    if (files.length > 0) this.#set(stay, [...files, ...this.#at(stay)]);
  }

  #at(stay: Stay): Attachment[] {
    if (stay === this.#here) return this.all;
    return (stay.place !== null && this.#laidAside.get(stay.place)) || [];
  }

  #set(stay: Stay, files: Attachment[]): void {
    if (stay === this.#here) this.all = files;
    else if (stay.place !== null) this.#laidAside.set(stay.place, files);
    void this.#keep(stay.place, files);
  }

  async #restore(stay: Stay): Promise<void> {
    const place = stay.place;
    if (place === null) return;
    const found = (await this.kept.read(place)).filter(isAttachment);
    if (found.length === 0) return;
    this.#written.add(place);
    this.#set(stay, [...found, ...this.#at(stay)]);
  }

  async #keep(place: string | null, files: Attachment[]): Promise<void> {
    const here = place === this.#here.place;
    if (here && files.length === 0) this.fleeting = false;
    if (place === null || (files.length === 0 && !this.#written.has(place))) return;
    if (files.length > 0) this.#written.add(place);
    else this.#written.delete(place);
    const kept = await this.kept.keep(place, files);
    if (here && files === this.all) this.fleeting = !kept;
  }
}

/** What stands in the browser may have been written by an older page. */
function isAttachment(value: unknown): value is Attachment {
  const one = value as Attachment | null;
  return (
    typeof one?.id === 'string' &&
    typeof one.name === 'string' &&
    typeof one.size === 'number' &&
    (one.kind === 'image' || one.kind === 'text') &&
    typeof one.data === 'string' &&
    one.data.startsWith('data:')
  );
}

function words(refused: Refusal, model: string): string {
  switch (refused) {
    case 'unknownKind':
      return t('chat.fileKind');
    case 'textTooLarge':
      return t('chat.fileTooLarge', { size: formatBytes(LARGEST_TEXT_BYTES) });
    case 'imageTooLarge':
      return t('chat.imageTooLarge', { size: formatBytes(LARGEST_IMAGE_BYTES) });
    case 'noVision':
      return t('chat.noVision', { model });
    case 'tooMany':
      return t('chat.tooManyFiles', { count: MOST_FILES });
    case 'notText':
      return t('chat.notText');
    case 'unreadable':
      return t('chat.unreadable');
  }
}
