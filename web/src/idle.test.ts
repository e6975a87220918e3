import { afterEach, describe, expect, it, vi } from 'vitest';
import { whenIdle } from './idle';

afterEach(() => vi.unstubAllGlobals());

describe('what waits until the page is idle', () => {
  it('is done together and once, without what was called off', async () => {
    const [one, other, off] = [vi.fn(), vi.fn(), vi.fn()];
    whenIdle(one);
    whenIdle(other);
    whenIdle(off)();
    await vi.waitFor(() => expect(one).toHaveBeenCalledOnce());
    expect([other.mock.calls.length, off.mock.calls.length]).toEqual([1, 0]);
  });

  it('is done although something else fails, which is told', async () => {
    const told = vi.fn();
    vi.stubGlobal('reportError', told);
    const problem = new Error('broken');
    const [before, after] = [vi.fn(), vi.fn()];
    whenIdle(before);
    whenIdle(() => {
      throw problem;
    });
    whenIdle(after);
    await vi.waitFor(() => expect(after).toHaveBeenCalledOnce());
    expect([before.mock.calls.length, told.mock.calls]).toEqual([1, [[problem]]]);
  });
});
