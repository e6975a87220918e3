import { describe, expect, it } from 'vitest';
import { bodyFor, NotJson, parsedSchema, type Ask } from './request';

const ask = (more: Partial<Ask> = {}): Ask => ({
  turns: [
    { id: 1, role: 'system', content: ' ' },
    { id: 2, role: 'user', content: ' Hello ' },
  ],
  args: {},
  format: 'text',
  schema: '',
  ...more,
});

describe('a request', () => {
  it('says what the form says and no more', () => {
    expect(bodyFor(ask(), 'm')).toEqual({ model: 'm', messages: [{ role: 'user', content: ' Hello ' }] });
    expect(bodyFor(ask({ args: { temperature: 0, random_seed: 7, other: 1 } }), 'm')).toMatchObject({
      temperature: 0,
      random_seed: 7,
    });
    expect(bodyFor(ask({ args: { other: 1 } }), 'm')).not.toHaveProperty('other');
    expect(bodyFor(ask({ format: 'json_object', schema: 'broken' }), 'm').response_format).toEqual({
      type: 'json_object',
    });
  });

  it('takes a schema that is an object and nothing else', () => {
    const made = bodyFor(ask({ format: 'json_schema', schema: '{"type":"object"}' }), 'm');
    expect(made.response_format).toEqual({
      type: 'json_schema',
      json_schema: { name: 'answer', schema: { type: 'object' }, strict: true },
    });
    for (const wrong of ['', '{', '[]', 'null', '"x"', '3'])
      expect(() => parsedSchema(wrong)).toThrow(NotJson);
  });
});
