/** The files that wait with a question that is being written, chat by chat. Knows nothing of words and of sending. */
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

export class Attached {
  all = $state.raw<Attachment[]>([]);
  #laidAside = new Map<string, Attachment[]>();

  /** Goes from one chat to another; null is one that keeps nothing. */
  arrive(from: string | null, to: string | null): void {
    if (from !== null) this.#laidAside.set(from, this.all);
    this.all = (to !== null && this.#laidAside.get(to)) || [];
  }

  /** Takes what may go to this model; says why something may not, or nothing. */
  async add(given: Iterable<File>, model: string): Promise<string> {
    let problem = '';
    // What a picker or a drop gives is emptied as soon as its event is over.
    for (const file of [...given]) {
      const refused = refusal(file, this.all.length, catalogue.sees(model));
      const result = refused ?? (await attach(file));
      if (typeof result === 'string') problem = `${file.name}: ${words(result, model)}`;
      else this.all = [...this.all, result];
    }
    return problem;
  }

  remove(file: Attachment): void {
    this.all = this.all.filter((one) => one !== file);
  }
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
