import { describe, expect, it } from 'vitest';
import { Drafts, NEW_CHAT, type Kept } from './drafts';

class Shelf implements Kept {
  readonly held = new Map<string, string>();
  getItem = (key: string) => this.held.get(key) ?? null;
  setItem = (key: string, value: string) => void this.held.set(key, value);
  removeItem = (key: string) => void this.held.delete(key);
}

describe('drafts', () => {
  it('are there again after a reload, each with its own conversation and person', () => {
    const shelf = new Shelf();
    new Drafts(shelf, 'anna').keep('c1', 'half a question');
    new Drafts(shelf, 'anna').keep(NEW_CHAT, 'another');
    expect(new Drafts(shelf, 'anna').read('c1')).toBe('half a question');
    expect(new Drafts(shelf, 'anna').read(NEW_CHAT)).toBe('another');
    expect(new Drafts(shelf, 'ben').read('c1')).toBe('');
  });

  it('leave nothing behind when sent or emptied', () => {
    const shelf = new Shelf();
    const drafts = new Drafts(shelf, 'anna');
    drafts.keep('c1', 'words');
    drafts.keep('c1', '');
    expect(shelf.held.size).toBe(0);
    drafts.keep('c1', '   ');
    expect(shelf.held.size).toBe(0);
  });

  it('keep the newest fifty', () => {
    const shelf = new Shelf();
    let clock = 0;
    const drafts = new Drafts(shelf, 'anna', () => ++clock);
    for (let n = 0; n < 60; n += 1) drafts.keep(`c${n}`, 'words');
    expect(drafts.read('c9')).toBe('');
    expect(drafts.read('c10')).toBe('words');
  });

  it('survive storage that is shut, full or spoiled', () => {
    const shut: Kept = {
      getItem: () => {
        throw new Error('shut');
      },
      setItem: () => {
        throw new Error('full');
      },
      removeItem: () => {
        throw new Error('shut');
      },
    };
    const drafts = new Drafts(shut, 'anna');
    expect(() => drafts.keep('c', 'words')).not.toThrow();
    expect(drafts.read('c')).toBe('');
    const spoiled = new Shelf();
    spoiled.setItem('tramontane.drafts.anna', '{"c":{"text":3}, "d":');
    expect(new Drafts(spoiled, 'anna').read('c')).toBe('');
    expect(new Drafts(null, 'anna').read('c')).toBe('');
  });
});
