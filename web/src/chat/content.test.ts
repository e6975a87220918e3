import { describe, expect, it } from 'vitest';
import type { Content } from '../api/types';
import { ownImage, spoken } from './content';

describe('what an entry says', () => {
  it('is read in every shape that programs may write', () => {
    const written = [
      { type: 'thinking', thinking: 'as one text' },
      { type: 'thinking', thinking: [{ type: 'text', text: ', or as parts' }] },
      { type: 'text', text: 'Words' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } },
      { type: 'image_url', image_url: null },
      { type: 'reference', reference_ids: [1] },
    ];
    const said = spoken(written as unknown as Content);
    expect(said).toMatchObject({ text: 'Words', thinking: 'as one text, or as parts' });
    expect(said.images.map((one) => ownImage(one.image_url))).toEqual([true, false]);
  });
});
