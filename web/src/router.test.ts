import { beforeEach, describe, expect, it } from 'vitest';
import { inside, match, navigate, place } from './router.svelte';

describe('match', () => {
  it('names the parts of a path', () => {
    expect(match('/chat/:id', '/chat/abc')).toEqual({ id: 'abc' });
    expect(match('/studio/:section?', '/studio')).toEqual({ section: undefined });
    expect(match('/studio/:section?', '/studio/keys/')).toEqual({ section: 'keys' });
    expect(match('/', '/')).toEqual({});
  });

  it('takes no other path', () => {
    expect(match('/chat/:id', '/chat')).toBeNull();
    expect(match('/chat/:id', '/chat/a/b')).toBeNull();
    expect(match('/people', '/peoples')).toBeNull();
  });

  it('reads encoded parts, and broken ones as they are', () => {
    expect(match('/chat/:id', '/chat/a%2Fb')).toEqual({ id: 'a/b' });
    expect(match('/chat/:id', '/chat/%E0%A4%A')).toEqual({ id: '%E0%A4%A' });
  });
});

describe('links', () => {
  beforeEach(() => navigate('/', { replace: true }));

  function click(html: string, init: MouseEventInit = {}): string | null {
    document.body.innerHTML = html;
    const event = new MouseEvent('click', { bubbles: true, cancelable: true, button: 0, ...init });
    let found: string | null = null;
    const listen = (heard: Event) => {
      found = inside(heard as MouseEvent);
      heard.preventDefault();
    };
    document.addEventListener('click', listen, { once: true });
    document.querySelector('a')!.dispatchEvent(event);
    return found;
  }

  it('to pages of the app stay inside', () => {
    expect(click('<a href="/settings/security?x=1#top">x</a>')).toBe('/settings/security?x=1#top');
  });

  it.each([
    ['another host', '<a href="https://example.org/chat/1">x</a>'],
    ['a protocol-relative address', '<a href="//example.org/chat/1">x</a>'],
    ['the API', '<a href="/v1/models">x</a>'],
    ['its description', '<a href="/docs">x</a>'],
    ['a new tab', '<a href="/people" target="_blank">x</a>'],
    ['a download', '<a href="/chat/1" download>x</a>'],
    ['a script', '<a href="javascript:alert(1)">x</a>'],
    ['a place in the page', '<a href="#content">x</a>'],
  ])('to %s are the browser’s', (_, html) => {
    expect(click(html)).toBeNull();
  });

  it('with a modifier open as the browser does', () => {
    expect(click('<a href="/people">x</a>', { ctrlKey: true })).toBeNull();
    expect(click('<a href="/people">x</a>', { button: 1 })).toBeNull();
  });

  it('never lead to another origin', () => {
    const before = place.path;
    navigate('https://example.org/people');
    expect(place.path).toBe(before);
    navigate('/people');
    expect(place.path).toBe('/people');
  });
});
