import { beforeEach, describe, expect, it } from 'vitest';
import type { Attachment } from '../attachments';
import { Attached } from './attached.svelte';

/** What the browser keeps for one person, over reloads; it answers late, as a database does. */
class Shelf {
  readonly held = new Map<string, readonly Attachment[]>();
  calls = 0;
  shut = false;
  async read(place: string): Promise<Attachment[]> {
    await Promise.resolve();
    return [...(this.held.get(place) ?? [])];
  }
  async keep(place: string, files: readonly Attachment[]): Promise<boolean> {
    this.calls += 1;
    await Promise.resolve();
    if (this.shut) return files.length === 0;
    if (files.length === 0) this.held.delete(place);
    else this.held.set(place, files);
    return true;
  }
}

const text = (name: string) => new File(['words'], name, { type: 'text/plain' });
const names = (files: readonly Attachment[]) => files.map((file) => file.name);
const settled = () => new Promise((resolve) => setTimeout(resolve));

describe('attached files', () => {
  let shelf: Shelf;
  const page = async (place: string | null) => {
    const files = new Attached(shelf);
    files.arrive(place);
    await settled();
    return files;
  };
  beforeEach(() => (shelf = new Shelf()));

  it('are there again on the next page, each with its own chat', async () => {
    await (await page('c1')).add([text('a.txt'), text('b.txt')], 'm');
    expect(names((await page('c1')).all)).toEqual(['a.txt', 'b.txt']);
    const elsewhere = await page('c2');
    expect(elsewhere.all).toEqual([]);
    elsewhere.arrive('c1');
    await settled();
    expect(names(elsewhere.all)).toEqual(['a.txt', 'b.txt']);
  });

  it('are nowhere once they were sent or removed', async () => {
    const files = await page('c1');
    await files.add([text('a.txt'), text('b.txt')], 'm');
    files.remove(files.all[0]!);
    await settled();
    expect(names(shelf.held.get('c1')!)).toEqual(['b.txt']);
    files.take();
    await settled();
    expect([files.all, shelf.held.size, (await page('c1')).all.length]).toEqual([[], 0, 0]);
  });

  it('wait again where they did when they could not be sent', async () => {
    const files = await page('c1');
    await files.add([text('a.txt')], 'm');
    const giveBack = files.take();
    files.arrive('c2');
    giveBack();
    await settled();
    expect(files.all).toEqual([]);
    expect(names((await page('c1')).all)).toEqual(['a.txt']);
    files.arrive('c1');
    expect(names(files.all)).toEqual(['a.txt']);
  });

  it('ask nothing of the browser while a question has none', async () => {
    const files = await page('c1');
    files.take();
    files.rename('c9');
    await settled();
    expect(shelf.calls).toBe(0);
  });

  it('go along when the chat gets its name, and out of the browser when it becomes temporary', async () => {
    const files = await page('new');
    await files.add([text('a.txt')], 'm');
    files.rename('c1');
    await settled();
    expect([...shelf.held.keys()]).toEqual(['c1']);
    files.rename(null);
    await settled();
    expect([shelf.held.size, names(files.all)]).toEqual([0, ['a.txt']]);
  });

  it('stay with the chat they were chosen in, however long reading them takes', async () => {
    const files = await page('c1');
    const adding = files.add([text('a.txt')], 'm');
    files.arrive('c2');
    await adding;
    expect(files.all).toEqual([]);
    files.arrive('c1');
    expect(names(files.all)).toEqual(['a.txt']);
  });

  it('that came while the earlier ones were looked for stand beside them', async () => {
    await (await page('c1')).add([text('a.txt')], 'm');
    const files = new Attached(shelf);
    files.arrive('c1');
    await files.add([text('b.txt')], 'm');
    await settled();
    expect(names(files.all).sort()).toEqual(['a.txt', 'b.txt']);
    expect(names(shelf.held.get('c1')!).sort()).toEqual(['a.txt', 'b.txt']);
  });

  it('wait before those that were attached while they were on their way', async () => {
    const files = await page('c1');
    await files.add([text('a.txt')], 'm');
    const giveBack = files.take();
    await files.add([text('b.txt')], 'm');
    giveBack();
    await settled();
    expect(names(files.all)).toEqual(['a.txt', 'b.txt']);
    expect(names(shelf.held.get('c1')!)).toEqual(['a.txt', 'b.txt']);
  });

  it('of a temporary chat do not come back into another one', async () => {
    const files = await page(null);
    await files.add([text('a.txt')], 'm');
    const giveBack = files.take();
    files.arrive(null);
    giveBack();
    expect(files.all).toEqual([]);
  });

  it('are shown to who has been elsewhere while they were read or looked for', async () => {
    await (await page('c1')).add([text('a.txt')], 'm');
    const files = new Attached(shelf);
    files.arrive('c1');
    const adding = files.add([text('b.txt')], 'm');
    files.arrive('c2');
    files.arrive('c1');
    await adding;
    await settled();
    expect(names(files.all).sort()).toEqual(['a.txt', 'b.txt']);
    files.arrive('c2');
    files.arrive('c1');
    await settled();
    expect(names(files.all).sort()).toEqual(['a.txt', 'b.txt']);
    expect(names((await page('c1')).all).sort()).toEqual(['a.txt', 'b.txt']);
  });

  it.each([null, 'c1'])('still looked for go along when the chat is called %s', async (name) => {
    await (await page('new')).add([text('a.txt')], 'm');
    const files = new Attached(shelf);
    files.arrive('new');
    files.rename(name);
    await settled();
    expect(names(files.all)).toEqual(['a.txt']);
    expect([...shelf.held.keys()]).toEqual(name === null ? [] : [name]);
    expect((await page('new')).all).toEqual([]);
  });

  it.each(['this page', 'an earlier one'])('of a chat that was temporary join those of %s', async (where) => {
    const earlier = await page('new');
    await earlier.add([text('a.txt')], 'm');
    await settled();
    const files = where === 'this page' ? earlier : new Attached(shelf);
    files.arrive(null);
    await files.add([text('b.txt')], 'm');
    files.rename('new');
    await settled();
    expect(names(files.all)).toEqual(['a.txt', 'b.txt']);
    expect(names(shelf.held.get('new')!)).toEqual(['a.txt', 'b.txt']);
  });

  it('say when the browser cannot keep them, until they are gone', async () => {
    shelf.shut = true;
    const files = await page('c1');
    await files.add([text('a.txt')], 'm');
    await settled();
    expect(files.fleeting).toBe(true);
    files.take();
    expect(files.fleeting).toBe(false);
  });
});
