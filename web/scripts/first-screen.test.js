import { describe, expect, it } from 'vitest';
import { closure, firstScreen } from './first-screen.js';

const manifest = {
  'index.html': { file: 'index.js', imports: ['_app.js'], dynamicImports: ['src/studio/S.svelte'], css: [] },
  '_app.js': { file: 'app.js', css: ['app.css'], imports: ['_loop.js'] },
  '_loop.js': { file: 'loop.js', imports: ['_app.js'] },
  'src/chat/index.ts': { file: 'chat.js', imports: ['_app.js'], css: ['chat.css'] },
  'src/i18n/en/index.ts': { file: 'en.js' },
  'src/i18n/fr/index.ts': { file: 'fr.js' },
  'src/studio/S.svelte': { file: 'studio.js' },
};

describe('the first screen', () => {
  it('is what the page and the chat import at once, and one language', () => {
    const sizes = {
      'index.js': 1,
      'app.js': 10,
      'loop.js': 100,
      'chat.js': 1000,
      'en.js': 3,
      'fr.js': 5,
      'studio.js': 9e9,
    };
    const found = firstScreen(manifest, { ...sizes, 'app.css': 7, 'chat.css': 8 });
    expect(found.scripts.toSorted()).toEqual(['app.js', 'chat.js', 'fr.js', 'index.js', 'loop.js']);
    expect(found.scriptBytes).toBe(1116);
    expect(found.sheetBytes).toBe(15);
  });

  it('of an unknown entry is nothing', () => {
    expect([...closure(manifest, 'none')]).toEqual([]);
  });
});
