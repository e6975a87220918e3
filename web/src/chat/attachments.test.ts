import { describe, expect, it } from 'vitest';
import {
  attach,
  base64,
  contentOf,
  isText,
  kindOf,
  LARGEST_TEXT_BYTES,
  MOST_FILES,
  refusal,
} from './attachments';
import { spoken, withText } from './content';
import { readNumbers } from './sampling';
import { fileName } from './saving';

const file = (name: string, type: string, size = 10) => ({ name, type, size });

describe('attachments', () => {
  it('are taken or refused before they are read', () => {
    expect(kindOf(file('a.png', 'image/png'))).toBe('image');
    expect(kindOf(file('a.py', ''))).toBe('text');
    expect(kindOf(file('Makefile', ''))).toBe('text');
    expect(refusal(file('a.pdf', 'application/pdf'), 0, true)).toBe('unknownKind');
    expect(refusal(file('a.svg', 'image/svg+xml'), 0, true)).toBe('unknownKind');
    expect(refusal(file('a.png', 'image/png'), 0, false)).toBe('noVision');
    expect(refusal(file('a.txt', 'text/plain', LARGEST_TEXT_BYTES + 1), 0, true)).toBe('textTooLarge');
    expect(refusal(file('a.txt', 'text/plain'), MOST_FILES, true)).toBe('tooMany');
    expect(refusal(file('a.txt', 'text/plain', LARGEST_TEXT_BYTES), 0, false)).toBeNull();
  });

  it('become chunks', async () => {
    const read = await attach(new File(['héllo'], 'n<b>.txt', { type: 'text/plain' }));
    expect(read).toMatchObject({
      kind: 'text',
      name: 'n<b>.txt',
      data: `data:text/plain;base64,${base64(new TextEncoder().encode('héllo'))}`,
    });
    if (typeof read === 'string') throw new Error(read);
    expect(contentOf('words', [])).toBe('words');
    expect(contentOf('words', [read])).toEqual([
      { type: 'text', text: 'words' },
      { type: 'document_url', document_url: read.data, document_name: 'n<b>.txt' },
    ]);
    expect(await attach(new File([new Uint8Array([0xff, 0xfe, 0])], 'a.txt', { type: 'text/plain' }))).toBe(
      'notText',
    );
    expect(isText(new Uint8Array([65, 0, 66]))).toBe(false);
  });

  it('stay when the words around them are edited', () => {
    const content = [
      { type: 'text' as const, text: 'old' },
      { type: 'image_url' as const, image_url: 'data:image/png;base64,AA' },
    ];
    expect(spoken(withText(content, 'new'))).toMatchObject({ text: 'new', images: [content[1]] });
    expect(withText('old', 'new')).toBe('new');
  });
});

describe('numbers and names that people type', () => {
  it('are read with care', () => {
    expect(readNumbers({ temperature: '0,7', max_tokens: '' }, { max_tokens: 5, stop: ['x'] })).toEqual({
      temperature: 0.7,
      stop: ['x'],
    });
    expect(readNumbers({ temperature: '9' }, {})).toBe('temperature');
    expect(readNumbers({ random_seed: '1.5' }, {})).toBe('random_seed');
    expect(readNumbers({ top_p: 'x' }, {})).toBe('top_p');
  });

  it('make safe file names', () => {
    expect(fileName('../../etc/passwd')).toBe('etc passwd');
    expect(fileName('a\u202egnp.exe')).toBe('a gnp.exe');
    expect(fileName('...')).toBe('tramontane');
  });
});
