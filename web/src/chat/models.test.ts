import { afterEach, describe, expect, it } from 'vitest';
import { models } from '../api/models.svelte';
import type { Model } from '../api/types';
import { catalogue } from './models.svelte';

const model = (name: string, state: Model['state'], aliases: string[] = [], capabilities = ['chat']) =>
  ({ name, state, aliases, capabilities }) as unknown as Model;

describe('who answers in place of a model', () => {
  afterEach(() => (models.list = null));

  it('is nobody while nothing is known, nor where the model is here by a name of its own or another', () => {
    expect(catalogue.standIn('gpt-4o', 'small')).toBeNull();
    models.list = [model('small', 'installed', ['small-latest'])];
    expect(catalogue.standIn('small', 'small')).toBeNull();
    expect(catalogue.standIn('small-latest', 'small')).toBeNull();
  });

  it('is the one a new chat begins with, else one that can talk', () => {
    models.list = [
      model('vectors', 'installed', [], ['embedding']),
      model('large', 'loaded'),
      model('small', 'installed'),
      model('far', 'absent'),
    ];
    expect(catalogue.standIn('gpt-4o', 'small')).toBe('small');
    expect(catalogue.standIn('far', 'gone-too')).toBe('large');
    expect(catalogue.standIn('', 'small')).toBe('small');
  });

  it('is nobody where nothing here can talk', () => {
    models.list = [model('vectors', 'installed', [], ['embedding'])];
    expect(catalogue.standIn('gpt-4o', 'small')).toBeNull();
  });
});
