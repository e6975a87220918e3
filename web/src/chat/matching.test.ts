import { describe, expect, it } from 'vitest';
import { best, score } from './matching';

const commands = [
  'New chat',
  'New temporary chat',
  'Search conversations',
  'Switch model',
  'Dark theme',
  'Français',
  'Projects',
];
const find = (words: string) => best(words, commands, (name) => name);

describe('the palette', () => {
  it('finds by beginnings of words, letters in order and without accents', () => {
    expect(find('new')[0]).toBe('New chat');
    expect(find('nc')[0]).toBe('New chat');
    expect(find('ntc')[0]).toBe('New temporary chat');
    expect(find('francais')[0]).toBe('Français');
    expect(find('DARK')[0]).toBe('Dark theme');
    expect(find('swm')[0]).toBe('Switch model');
  });

  it('drops what does not match and keeps the order where nothing is typed', () => {
    expect(find('xyz')).toEqual([]);
    expect(find('  ')).toEqual(commands);
    expect(score('tahc', 'chat')).toBeNull();
  });
});
