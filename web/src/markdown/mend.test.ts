import { describe, expect, it } from 'vitest';
import { mend } from './mend';

describe('the end of a streamed paragraph', () => {
  it.each([
    ['plain words', 'plain words'],
    ['**bo', '**bo**'],
    ['a **', 'a '],
    ['a **bold** b', 'a **bold** b'],
    ['a *it', 'a *it*'],
    ['a `co', 'a `co`'],
    ['a ``co`d', 'a ``co`d`'],
    ['a `', 'a '],
    ['~~gone', '~~gone~~'],
    ['see [the page](https://exa', 'see the page'],
    ['see [the pa', 'see the pa'],
    ['see [the page](https://example.org)', 'see [the page](https://example.org)'],
    ['![pict](https://exa', ''],
    ['first **x\n\nsecond', 'first **x\n\nsecond'],
    ['2 * 3 * 4', '2 * 3 * 4'],
    ['* item', '* item'],
    ['`**` stays', '`**` stays'],
    ['escaped \\*star', 'escaped \\*star'],
  ])('%j becomes %j', (given, wanted) => {
    expect(mend(given)).toBe(wanted);
  });
});
