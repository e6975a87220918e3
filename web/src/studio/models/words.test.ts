import { beforeAll, describe, expect, it } from 'vitest';
import type { Model } from '../../api/types';
import { setLanguage } from '../../i18n/index.svelte';
import { purposes } from '../purposes';
import { fitWords, listed, permitWords, stageWords, stateWords, whereWords } from './words';

const model = (name: string, more: Partial<Model> = {}): Model => ({
  name,
  aliases: [],
  family: null,
  description: null,
  good_for: [],
  licence: {
    name: '',
    kind: 'open',
    permits: [],
    needs_acceptance: false,
    accepted_by: null,
    accepted_at: null,
  },
  download_bytes: null,
  memory_bytes: 1e9,
  context_tokens: null,
  capabilities: ['chat'],
  source: null,
  state: 'absent',
  fit: { fits: true, reason: null },
  default: false,
  ...more,
});

describe('words about a model', () => {
  beforeAll(() => setLanguage('fr'));

  it('tell in the reader’s language what is missing', () => {
    const fit = {
      fits: false,
      reason: 'memory: needs …',
      verdict: 'does_not_fit',
      needed_bytes: 2e10,
      usable_bytes: 8e9,
    } as const;
    const words = fitWords(model('m', { fit: { ...fit, obstacle: 'memory' } })).replace(/\s/g, ' ');
    expect(words).toContain('20 Go');
    expect(words).toContain('8 Go');
    expect(fitWords(model('m', { fit: { ...fit, obstacle: 'disk' } }))).toContain('disque');
    expect(fitWords(model('m', { fit: { ...fit, obstacle: 'engine' } }))).toContain('llama.cpp');
  });

  it('name purposes, permissions and stages, and new ones of the server without breaking', () => {
    expect(purposes(model('m', { good_for: ['images', 'telepathy'] }))).toEqual(['Images']);
    const licence = { ...model('m').licence, permits: ['research', 'odd_thing'] };
    expect(permitWords(model('m', { licence }))).toEqual(['recherche', 'odd thing']);
    expect(stageWords('verifying')).toBe('Vérification');
    expect(stageWords('reading words')).toBe('reading words');
  });
});

describe('where a model runs', () => {
  const away = model('m', { served_at: 'gpu.example.org', state: 'installed', installed: true });

  it('is told for each: words go to the server that answers', () => {
    expect(whereWords(away)).toContain('gpu.example.org');
    expect(whereWords(away, true)).toContain('gpu.example.org');
    expect(whereWords(model('m'))).not.toContain('serveur');
  });

  it('is not this machine for what another server holds', () => {
    expect(stateWords(away)).not.toContain('cette machine');
    expect(stateWords({ ...away, served_at: null })).toContain('cette machine');
    expect(stateWords({ ...away, state: 'loaded' })).toBe(stateWords(model('m', { state: 'loaded' })));
  });
});

describe('the list', () => {
  const all = [
    model('too-large', { fit: { fits: false, reason: null } }),
    model('large', { memory_bytes: 5e9 }),
    model('small', { memory_bytes: 1e9, aliases: ['tiny-latest'] }),
    model('here', { state: 'loaded', installed: true, memory_bytes: 9e9 }),
    model('coming', { state: 'fetching', memory_bytes: 8e9 }),
    model('half', { partial_bytes: 1, memory_bytes: 6e9, fit: { fits: false, reason: null } }),
    model('broken', {
      state: 'failed',
      installed: true,
      memory_bytes: 7e9,
      fit: { fits: false, reason: null },
    }),
  ];
  const names = (...asked: [Parameters<typeof listed>[1], string]) =>
    listed(all, ...asked).map((one) => one.name);

  it('has what is here first, then what fits from small to large', () => {
    expect(names('all', '')).toEqual(['half', 'broken', 'coming', 'here', 'small', 'large', 'too-large']);
    expect(names('fits', '')).toEqual(['half', 'broken', 'coming', 'here', 'small', 'large']);
    expect(names('here', '')).toEqual(['half', 'broken', 'coming', 'here']);
  });

  it('is searched by every name', () => {
    expect(names('all', ' TINY ')).toEqual(['small']);
  });
});
