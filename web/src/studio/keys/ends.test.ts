import { describe, expect, it } from 'vitest';
import { endOf } from './ends';

const NOW = Date.parse('2026-03-01T12:00:00Z');

describe('the end of a key', () => {
  it('is so many days from now', () => {
    expect(endOf('30', '', NOW)).toBe('2026-03-31T12:00:00.000Z');
  });

  it('is never', () => {
    expect(endOf('never', '2026-05-01', NOW)).toBeNull();
  });

  it('takes in the whole last day of the person', () => {
    const end = new Date(endOf('date', '2026-05-01', NOW) ?? '');
    expect([end.getDate(), end.getMonth(), end.getHours(), end.getMinutes()]).toEqual([1, 4, 23, 59]);
  });

  it('is unknown without a day that is still to come', () => {
    for (const day of ['', '2026', '2026-99-99', 'soon', '2026-02-27'])
      expect(endOf('date', day, NOW)).toBeUndefined();
  });
});
