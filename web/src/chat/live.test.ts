import { afterEach, describe, expect, it, vi } from 'vitest';
import { Live } from './live.svelte';

describe('an answer being written', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('shows its first words at once and gathers those that follow for the next frame', () => {
    const frames: FrameRequestCallback[] = [];
    vi.stubGlobal('requestAnimationFrame', (act: FrameRequestCallback) => frames.push(act));
    const live = new Live();
    live.add('One');
    expect([live.text, live.waiting, frames.length]).toEqual(['One', false, 0]);
    live.add(' two');
    live.add(' three');
    expect([live.text, frames.length]).toEqual(['One', 1]);
    frames[0]!(0);
    expect(live.text).toBe('One two three');
  });

  it('shows the first thoughts at once', () => {
    const live = new Live();
    live.add({ type: 'thinking', thinking: [{ type: 'text', text: 'Hm' }] });
    expect([live.thinking, live.waiting]).toEqual(['Hm', false]);
  });
});
