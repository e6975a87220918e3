import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiError } from '../api/errors';
import type { Model } from '../api/types';
import { choices } from '../first-run/choices';
import { setLanguage } from '../i18n/index.svelte';
import { initials } from '../shell/initials';
import { deviceOf } from './device';
import { refusal } from './refusal';

beforeAll(() => setLanguage('en'));

describe('deviceOf', () => {
  it.each([
    ['Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0', 'Firefox, Linux', false],
    [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0',
      'Edge, Windows',
      false,
    ],
    [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 (KHTML, like Gecko) Version/18.0 Mobile/15E1 Safari/604.1',
      'Safari, iPhone',
      true,
    ],
    [
      'Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile Safari/537.36',
      'Chrome, Android',
      true,
    ],
    ['curl/8.5.0', 'curl', false],
    [null, null, false],
    ['', null, false],
  ])('knows %s', (agent, name, phone) => {
    expect(deviceOf(agent)).toEqual({ name, phone });
  });
});

describe('initials', () => {
  it.each([
    ['Ada Lovelace', 'AL'],
    ['ada', 'A'],
    ['éloïse de la tour', 'ÉT'],
    ['ada@example.org', 'AO'],
    ['  ', ''],
    ['👩‍💻 dev', '👩D'],
  ])('of %s are %s', (name, letters) => {
    expect(initials(name)).toBe(letters);
  });
});

describe('refusal', () => {
  it('puts a field’s problem at the field', () => {
    const error = new ApiError(422, 'x', null, null, null, [{ field: 'email', message: 'is no address' }]);
    expect(refusal(error, ['email'])).toEqual({ whole: null, fields: { email: 'is no address' } });
  });

  it('and that of a field not shown over the form', () => {
    const error = new ApiError(422, 'secret: too long', null, null, null, [
      { field: 'secret', message: 'too long' },
    ]);
    expect(refusal(error, ['email'])).toEqual({ whole: 'secret: too long', fields: {} });
  });

  it('says how long to wait', () => {
    expect(refusal(new ApiError(429, 'x', null, null, 12.2), []).whole).toContain('13 seconds');
  });
});

describe('in French', () => {
  beforeAll(() => setLanguage('fr'));
  afterAll(() => setLanguage('en'));

  it('a refusal is said in French where its code is known', () => {
    const error = new ApiError(409, 'this is the last administrator', 'last_administrator', 'role');
    expect(refusal(error, []).whole).toContain('dernier administrateur');
    expect(refusal(new ApiError(400, 'something rare', 'rare'), []).whole).toBe('something rare');
    const weak = new ApiError(422, 'x', null, null, null, [{ field: 'password', message: 'takes 12' }]);
    expect(refusal(weak, ['password']).fields.password).toContain('12 caractères');
  });
});

describe('choices', () => {
  const model = (
    name: string,
    state: Model['state'],
    fits: boolean,
    memory: number,
    capabilities = ['chat'],
  ) =>
    ({
      name,
      state,
      fit: { fits, reason: null },
      memory_bytes: memory,
      download_bytes: memory,
      capabilities,
    }) as Model;

  it('begin with what is here, then what fits from small to large', () => {
    const all = [
      model('huge', 'absent', false, 90),
      model('large', 'absent', true, 40),
      model('small', 'absent', true, 4),
      model('here', 'loaded', true, 20),
      model('encoder', 'installed', true, 1, ['embedding']),
    ];
    expect(choices(all).map((one) => one.name)).toEqual(['here', 'small', 'large', 'huge']);
  });
});
