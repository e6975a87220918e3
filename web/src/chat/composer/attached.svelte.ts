/**
 * The files that wait with a question that is being written, chat by chat, also over a reload. Knows nothing of words and
 * of sending.
 */
import type { KeptFiles } from '../../api/unsent_files';
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

/** The files of one chat, of which there is one stay however often one comes and goes. */
class Stay {
  all = $state.raw<Attachment[]>([]);
  /** What is attached would be gone after a reload. */
  fleeting = $state(false);
  /** What an earlier page has left is still looked for; until then nothing is written over it. */
  sought = false;
  /** Something stands in the browser; a question without files asks nothing of it. */
  written = false;

  /** Null is a chat that keeps nothing. A new chat gets its name while one is there. */
  constructor(public place: string | null) {}
}

export class Attached {
  #here = $state.raw(new Stay(null));
  #stays = new Map<string, Stay>();

  constructor(private readonly kept: Pick<KeptFiles<Attachment>, 'read' | 'keep'>) {}

  get all(): Attachment[] {
    return this.#here.all;
  }

  get fleeting(): boolean {
    return this.#here.fleeting;
  }

  /** Goes to another chat, whose files come from memory or from an earlier page. */
  arrive(place: string | null): void {
    const known = place === null ? undefined : this.#stays.get(place);
    this.#here = known ?? new Stay(place);
    if (place === null || known) return;
    this.#stays.set(place, this.#here);
    void this.#seek(this.#here, place);
  }

  /** The same chat has got its name, or is kept no more, or is from now on. */
  rename(place: string | null): void {
    const stay = this.#here;
    const from = stay.place;
    if (from !== null) {
      this.#stays.delete(from);
      if (stay.sought || stay.written) void this.kept.keep(from, []);
    }
    const there = place === null ? undefined : this.#stays.get(place);
    if (there) {
      stay.all = [...there.all, ...stay.all];
      there.place = null;
    }
    stay.place = place;
    stay.written = there?.written ?? false;
    if (place !== null) this.#stays.set(place, stay);
    // A chat that was temporary comes to where other files may wait; one that gets its name is the first there.
    if (place !== null && from === null && (!there || there.sought)) void this.#seek(stay, place);
    else void this.#keep(stay);
  }

  /** Takes what may go to this model; says why something may not, or nothing. */
  async add(given: Iterable<File>, model: string): Promise<string> {
    const stay = this.#here;
    let problem = '';
    // What a picker or a drop gives is emptied as soon as its event is over.
    for (const file of [...given]) {
      const refused = refusal(file, stay.all.length, catalogue.sees(model));
      const result = refused ?? (await attach(file));
      if (typeof result === 'string') problem = `${file.name}: ${words(result, model)}`;
      else this.#set(stay, [...stay.all, result]);
    }
    return problem;
  }

  remove(file: Attachment): void {
    this.#set(
      this.#here,
      this.all.filter((one) => one !== file),
    );
  }

  /** All of them go with a question now. Should it not be sent, what is given back has them wait again where they did. */
  take(): () => void {
    const stay = this.#here;
    const taken = stay.all;
    this.#set(stay, []);
    return () => {
      if (taken.length > 0) this.#set(stay, [...taken, ...stay.all]);
    };
  }

  #set(stay: Stay, files: Attachment[]): void {
    stay.all = files;
    void this.#keep(stay);
  }

  async #seek(stay: Stay, place: string): Promise<void> {
    stay.sought = true;
    const found = (await this.kept.read(place)).filter(isAttachment);
    stay.sought = false;
    if (found.length > 0) {
      stay.all = [...found, ...stay.all];
      if (stay.place === place) stay.written = true;
    }
    void this.#keep(stay);
  }

  async #keep(stay: Stay): Promise<void> {
    const { place, all } = stay;
    if (place === null || all.length === 0) stay.fleeting = false;
    if (place === null || stay.sought || (all.length === 0 && !stay.written)) return;
    stay.written = all.length > 0;
    const kept = await this.kept.keep(place, all);
    if (stay.place === place && stay.all === all) stay.fleeting = !kept;
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
