import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { aloud, sentences } from './speech.svelte';

class Words {
  voice: unknown = null;
  lang = '';
  onend: (() => void) | null = null;
  onerror: (() => void) | null = null;
  constructor(readonly text: string) {}
}

class Synthesis extends EventTarget {
  voices: { lang: string; localService: boolean; default: boolean }[] = [];
  spoken: Words[] = [];
  getVoices = () => this.voices;
  speak = (words: Words) => void this.spoken.push(words);
  cancel = () => {
    const cut = this.spoken.splice(0);
    // Browsers tell it later.
    queueMicrotask(() => cut.forEach((words) => words.onerror?.()));
  };
}

const HERE = { lang: 'en-GB', localService: true, default: true };
const FAR = { lang: 'en-US', localService: false, default: false };

describe('reading aloud', () => {
  let synthesis: Synthesis;

  beforeEach(() => {
    synthesis = new Synthesis();
    vi.stubGlobal('speechSynthesis', synthesis);
    vi.stubGlobal('SpeechSynthesisUtterance', Words);
  });

  afterEach(() => {
    aloud.stop();
    vi.unstubAllGlobals();
  });

  it('waits for the voices of a browser that looks for them only when it is asked', async () => {
    const reading = aloud.read('a', 'Hello there.', 'code');
    synthesis.voices = [HERE];
    synthesis.dispatchEvent(new Event('voiceschanged'));
    expect(await reading).toBe(true);
    expect(synthesis.spoken.map((words) => words.text)).toEqual(['Hello there.']);
    expect(aloud.entryId).toBe('a');
  });

  it('takes no voice that would send the words away', async () => {
    synthesis.voices = [FAR];
    expect(await aloud.read('a', 'Hello.', 'code')).toBe(false);
    expect(aloud.entryId).toBeNull();
  });

  it('is over when the last sentence is, and not when an earlier reading says that it was cut short', async () => {
    synthesis.voices = [HERE];
    await aloud.read('a', 'One. Two.', 'code');
    await aloud.read('b', 'Three. Four.', 'code');
    await Promise.resolve();
    expect(aloud.entryId).toBe('b');
    synthesis.spoken.at(-1)?.onend?.();
    expect(aloud.entryId).toBeNull();
  });
});

describe('a text to be read', () => {
  it('goes sentence by sentence', () => {
    expect(sentences('One. Two!\nThree')).toEqual(['One.', 'Two!', 'Three']);
  });
});
