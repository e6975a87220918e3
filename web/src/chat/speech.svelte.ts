/**
 * Reading aloud and taking dictation through the browser's own speech. Only voices on this device read; dictation that
 * a browser would send to its maker happens only after the person has said yes to that.
 */
import { language } from '../i18n/index.svelte';
import { plainWords } from '../markdown/plain';

const AGREED = 'tramontane.dictation';

class Aloud {
  /** The entry being read. */
  entryId = $state<string | null>(null);
  #reading = 0;

  get possible(): boolean {
    return typeof speechSynthesis !== 'undefined';
  }

  /** False when there is no voice on this device. */
  async read(entryId: string, markdown: string, codeWord: string): Promise<boolean> {
    this.stop();
    const voice = localVoice(await allVoices());
    if (!voice) return false;
    const parts = sentences(plainWords(markdown, codeWord));
    if (parts.length === 0) return true;
    // What was cut short says so only after the next has begun.
    const reading = (this.#reading += 1);
    const over = () => {
      if (reading === this.#reading) this.entryId = null;
    };
    this.entryId = entryId;
    parts.forEach((part, index) => {
      const words = new SpeechSynthesisUtterance(part);
      words.voice = voice;
      words.lang = voice.lang;
      if (index === parts.length - 1) words.onend = over;
      words.onerror = over;
      speechSynthesis.speak(words);
    });
    return true;
  }

  stop(): void {
    if (this.possible) speechSynthesis.cancel();
    this.entryId = null;
  }
}

export const aloud = new Aloud();

const VOICES_MS = 1000;

/** Some browsers begin to look for their voices when they are first asked, and say later that they have them. */
async function allVoices(): Promise<SpeechSynthesisVoice[]> {
  if (typeof speechSynthesis === 'undefined') return [];
  if (speechSynthesis.getVoices().length === 0)
    await new Promise<void>((resolve) => {
      speechSynthesis.addEventListener('voiceschanged', () => resolve(), { once: true });
      setTimeout(resolve, VOICES_MS);
    });
  return speechSynthesis.getVoices();
}

function localVoice(all: readonly SpeechSynthesisVoice[]): SpeechSynthesisVoice | null {
  const voices = all.filter((voice) => voice.localService);
  return (
    voices.find((voice) => voice.lang.toLowerCase().startsWith(language())) ??
    voices.find((voice) => voice.default) ??
    null
  );
}

/** Long texts fall silent in some browsers; sentence by sentence they do not. */
export function sentences(text: string): string[] {
  return text
    .split(/(?<=[.!?…:;])\s+|\n+/)
    .map((part) => part.trim())
    .filter(Boolean);
}

interface Recognition extends EventTarget {
  lang: string;
  continuous: boolean;
  interimResults: boolean;
  processLocally?: boolean;
  start(): void;
  stop(): void;
  onresult: ((event: RecognitionEvent) => void) | null;
  onend: (() => void) | null;
  onerror: ((event: { error: string }) => void) | null;
}
interface RecognitionEvent {
  resultIndex: number;
  results: ArrayLike<ArrayLike<{ transcript: string }> & { isFinal: boolean }>;
}
interface RecognitionMaker {
  new (): Recognition;
  available?(wanted: { langs: string[]; processLocally: boolean }): Promise<string>;
}

function maker(): RecognitionMaker | null {
  const here = globalThis as {
    SpeechRecognition?: RecognitionMaker;
    webkitSpeechRecognition?: RecognitionMaker;
  };
  return here.SpeechRecognition ?? here.webkitSpeechRecognition ?? null;
}

const TONGUES = { en: 'en-US', fr: 'fr-FR' } as const;

class Dictation {
  listening = $state(false);
  #recognition: Recognition | null = null;

  get possible(): boolean {
    return maker() !== null;
  }

  /** Whether the browser can do it without sending the voice anywhere. */
  async onDevice(): Promise<boolean> {
    try {
      return (
        (await maker()?.available?.({ langs: [TONGUES[language()]], processLocally: true })) === 'available'
      );
    } catch {
      return false;
    }
  }

  get agreed(): boolean {
    try {
      return localStorage.getItem(AGREED) === 'yes';
    } catch {
      return false;
    }
  }

  agree(): void {
    try {
      localStorage.setItem(AGREED, 'yes');
    } catch {
      // It then is asked again.
    }
  }

  start(onDevice: boolean, heard: (words: string) => void, failed: (reason: string) => void): void {
    const Made = maker();
    if (!Made || this.listening) return;
    const recognition = new Made();
    recognition.lang = TONGUES[language()];
    recognition.continuous = true;
    recognition.interimResults = false;
    if (onDevice) recognition.processLocally = true;
    recognition.onresult = (event) => {
      for (let at = event.resultIndex; at < event.results.length; at += 1) {
        const result = event.results[at];
        if (result?.isFinal) heard(result[0]?.transcript ?? '');
      }
    };
    recognition.onerror = (event) => {
      if (event.error !== 'aborted' && event.error !== 'no-speech') failed(event.error);
    };
    recognition.onend = () => (this.listening = false);
    this.#recognition = recognition;
    this.listening = true;
    recognition.start();
  }

  stop(): void {
    this.#recognition?.stop();
    this.listening = false;
  }
}

export const dictation = new Dictation();
