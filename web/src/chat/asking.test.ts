import { describe, expect, it } from 'vitest';
import { asked, type Turn } from './asking';

const turn: Turn = { content: 'And then?', parent: 'a1', branch: false, key: 'k' };
const chat = {
  id: 'c',
  temporary: false,
  model: 'here',
  instructions: '',
  args: {},
  projectId: null,
  about: { model: 'here' },
};

describe('a turn of a kept chat', () => {
  it('leaves the model to the server, which knows it', () => {
    expect(asked(turn, chat, []).body).not.toHaveProperty('model');
  });

  it('names the model that stands in for one that is not here', () => {
    expect(asked(turn, { ...chat, about: { model: 'gpt-4o' } }, []).body.model).toBe('here');
  });

  it('names the model another answer was wished from', () => {
    expect(asked({ ...turn, model: 'other' }, chat, []).body.model).toBe('other');
  });
});
