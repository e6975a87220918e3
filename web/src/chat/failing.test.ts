import { afterEach, describe, expect, it } from 'vitest';
import type { Entry } from '../api/types';
import { setLanguage } from '../i18n/index.svelte';
import { whyFailed } from './failing';

const failed = (error: Entry['error']): Entry => ({ id: 'a', type: 'message.output', created_at: '', error });

describe('why an answer failed', () => {
  afterEach(() => setLanguage('en'));

  it("is the server's own sentence in English", async () => {
    await setLanguage('en');
    expect(whyFailed(failed({ code: 'context_length_exceeded', message: 'prompt has 9000 tokens' }))).toBe(
      'prompt has 9000 tokens',
    );
  });

  it('is said in the language of the page where there are words for it', async () => {
    await setLanguage('fr');
    expect(whyFailed(failed({ code: 'context_length_exceeded', message: 'prompt has 9000 tokens' }))).toMatch(
      /conversation/,
    );
    expect(whyFailed(failed({ code: 'of_tomorrow', message: 'new' }))).toBe('new');
    expect(whyFailed(failed('plain'))).toBe('plain');
  });
});
