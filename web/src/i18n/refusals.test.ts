import { afterEach, describe, expect, it } from 'vitest';
import { ApiError } from '../api/errors';
import { reason } from '../parts/toast.svelte';
import { setLanguage } from './index.svelte';

const full = new ApiError(409, 'delete some, or ask with store: false', 'history_full');
const long = new ApiError(400, 'the prompt has 9000 tokens', 'context_length_exceeded');
const unheardOf = new ApiError(400, 'new', 'of_tomorrow');

describe('what a refusal says to a person', () => {
  afterEach(() => setLanguage('en'));

  it.each(['en', 'fr'] as const)("is the page's own sentence where there is one (%s)", async (language) => {
    await setLanguage(language);
    expect(reason(full)).toMatch(language === 'en' ? /^Your conversations/ : /^Vos conversations/);
    expect(reason(unheardOf)).toBe('new');
  });

  it("is the server's where that names what a person needs, as far as they read it", async () => {
    await setLanguage('en');
    expect(reason(long)).toBe('the prompt has 9000 tokens');
    await setLanguage('fr');
    expect(reason(long)).toMatch(/conversation/);
  });

  it('is nothing for what one has called off oneself', () => {
    expect(reason(new DOMException('aborted', 'AbortError'))).toBe('');
  });
});
