/** Dictation into the message being written: what stands between the button and the browser's own speech. */
import { t } from '../../i18n/index.svelte';
import { toast, toastError } from '../../parts/toast.svelte';
import { dictation } from '../speech.svelte';

export class Voice {
  /** The person is asked whether their voice may leave the device. */
  asking = $state(false);

  constructor(private readonly heard: (words: string) => void) {}

  async toggle(): Promise<void> {
    if (dictation.listening) return dictation.stop();
    const onDevice = await dictation.onDevice();
    if (!onDevice && !dictation.agreed) this.asking = true;
    else this.#hear(onDevice);
  }

  agree(): void {
    dictation.agree();
    this.asking = false;
    this.#hear(false);
    toast(t('chat.listening'));
  }

  #hear(onDevice: boolean): void {
    dictation.start(onDevice, this.heard, (why) =>
      toastError(
        why === 'not-allowed' ? t('chat.dictationBlocked') : t('chat.dictationFailed', { reason: why }),
      ),
    );
  }
}
