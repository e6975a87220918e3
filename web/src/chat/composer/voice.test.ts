import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { dictation } from '../speech.svelte';
import { Voice } from './voice.svelte';

let started: { local: boolean | undefined; say: (words: string) => void }[];
let here: string;

class Recognition {
  static available = () => Promise.resolve(here);
  processLocally?: boolean;
  onresult: ((event: unknown) => void) | null = null;
  onend: (() => void) | null = null;
  start() {
    const say = (transcript: string) =>
      this.onresult?.({ resultIndex: 0, results: [Object.assign([{ transcript }], { isFinal: true })] });
    started.push({ local: this.processLocally, say });
  }
  stop() {
    this.onend?.();
  }
}

beforeEach(() => {
  started = [];
  here = 'unavailable';
  localStorage.clear();
  vi.stubGlobal('SpeechRecognition', Recognition);
});
afterEach(() => {
  dictation.stop();
  vi.unstubAllGlobals();
});

describe('dictation', () => {
  it('asks before a voice leaves the device, and once', async () => {
    const heard: string[] = [];
    const voice = new Voice((words) => void heard.push(words));
    await voice.toggle();
    expect([voice.asking, started.length]).toEqual([true, 0]);
    voice.agree();
    expect([voice.asking, started.length]).toEqual([false, 1]);
    started[0]?.say('hello');
    expect(heard).toEqual(['hello']);
    await voice.toggle();
    expect(dictation.listening).toBe(false);
    await voice.toggle();
    expect([voice.asking, started.length]).toEqual([false, 2]);
  });

  it('asks nothing where the voice stays on the device', async () => {
    here = 'available';
    const voice = new Voice(() => {});
    await voice.toggle();
    expect([voice.asking, started[0]?.local]).toEqual([false, true]);
  });
});
