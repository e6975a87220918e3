import { beforeAll, describe, expect, it } from 'vitest';
import { setLanguage } from '../i18n/index.svelte';
import { problemWords } from './imports';

const about = (code: string, more = {}) => ({
  conversation: 3,
  code,
  message: 'conversation 3: oh',
  ...more,
});

describe('what an import could not bring in', () => {
  beforeAll(() => setLanguage('fr'));

  it('is said in the language of the page', () => {
    expect(problemWords(about('unreadable'))).toMatch(/^Conversation 3\s: illisible/);
    expect(problemWords(about('no_messages'))).toContain('aucun message');
  });

  it('names the limit and the settings left behind', () => {
    expect(problemWords(about('too_many_messages', { limit: 50_000 }))).toMatch(/50\s000/);
    const words = problemWords(about('settings_left', { settings: ['tools', 'metadata', 'new_one'] }));
    expect(words).toContain('outils, métadonnées, new_one');
  });

  it('says where the room ended, and what to do', async () => {
    expect(problemWords(about('history_full'))).toMatch(/conversation 3 .*Supprimez-en.*importez/);
    await setLanguage('en');
    expect(problemWords(about('history_full'))).toMatch(/^Conversation 3 .*Delete some.*import/);
    await setLanguage('fr');
  });

  it('keeps the sentence of the server for what the page does not know', () => {
    expect(problemWords(about('something_new'))).toBe('conversation 3: oh');
  });
});
