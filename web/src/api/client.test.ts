import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { api, ApiError, streamed, useCsrf, whenSignedOut } from './client';

let asked: [string, RequestInit][];

function answering(body: unknown, init: ResponseInit = {}): void {
  vi.stubGlobal('fetch', (path: string, request: RequestInit) => {
    asked.push([path, request]);
    const content = body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body);
    return Promise.resolve(new Response(content, init));
  });
}

const headers = () => asked[0]![1].headers as Record<string, string>;

beforeEach(() => {
  asked = [];
  useCsrf('token');
});
afterEach(() => vi.unstubAllGlobals());

describe('requests', () => {
  it('carry the token only where something changes', async () => {
    answering({});
    await api.get('/web/session');
    expect(headers()).not.toHaveProperty('x-tramontane-csrf');
    asked = [];
    await api.post('/web/sign-out');
    expect(headers()['x-tramontane-csrf']).toBe('token');
    expect(asked[0]![1].credentials).toBe('same-origin');
  });

  it('leave out empty query words', async () => {
    answering([]);
    await api.get('/v1/conversations', { query: { q: 'a b&c', page: 2, project_id: null, archived: false } });
    expect(asked[0]![0]).toBe('/v1/conversations?q=a+b%26c&page=2&archived=false');
  });

  it('send files as they are', async () => {
    answering({});
    const file = new Blob(['{}'], { type: 'application/zip' });
    await api.post('/v1/conversations/import', file);
    expect(headers()['content-type']).toBe('application/zip');
    expect(asked[0]![1].body).toBe(file);
  });

  it('may be answered with nothing', async () => {
    answering(undefined, { status: 204 });
    expect(await api.delete('/web/sessions/1')).toBeNull();
  });
});

describe('refusals', () => {
  it('carry the server’s words, code and field', async () => {
    const body = { object: 'error', message: 'say it otherwise', type: 't', param: 'name', code: 'taken' };
    answering(body, { status: 409 });
    const error = await api.post('/web/people').catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 409, message: 'say it otherwise', code: 'taken', param: 'name' });
  });

  it('name the conversation they are about', async () => {
    answering({ message: 'sent before', code: 'already_sent', conversation_id: 'conv_a' }, { status: 409 });
    await expect(api.post('/v1/conversations')).rejects.toMatchObject({ conversationId: 'conv_a' });
  });

  it('name the fields of a 422', async () => {
    const detail = [{ loc: ['body', 'email'], msg: 'is no address', type: 'value_error' }];
    answering({ detail }, { status: 422 });
    await expect(api.post('/web/invitations')).rejects.toMatchObject({
      message: 'email: is no address',
      fields: [{ field: 'email', message: 'is no address' }],
    });
  });

  it('say how long to wait', async () => {
    answering({ message: 'slow down' }, { status: 429, headers: { 'retry-after': '7' } });
    await expect(api.post('/web/sign-in')).rejects.toMatchObject({ status: 429, retryAfterS: 7 });
  });

  it('of a proxy are no puzzle', async () => {
    answering('<html>Bad gateway</html>', { status: 502 });
    await expect(api.get('/web/people')).rejects.toMatchObject({ status: 502, message: 'HTTP 502' });
  });

  it('for want of a session are told, save at the sign-in itself', async () => {
    const heard = vi.fn();
    whenSignedOut(heard);
    answering({ message: 'who?' }, { status: 401 });
    await api.post('/web/sign-in').catch(() => {});
    expect(heard).not.toHaveBeenCalled();
    await api.get('/web/people').catch(() => {});
    expect(heard).toHaveBeenCalledOnce();
  });

  it('tell a server out of reach from one that refuses', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('Failed to fetch')));
    await expect(api.get('/web/session')).rejects.toMatchObject({
      status: 0,
      code: 'offline',
      offline: true,
    });
  });
});

describe('streams', () => {
  const body = (end: (controller: ReadableStreamDefaultController) => void) =>
    new ReadableStream({
      pull(controller) {
        controller.enqueue(new TextEncoder().encode('event: a\ndata: {"n":1}\n\n'));
        end(controller);
      },
    });

  it('give frames and, when the line breaks, say so', async () => {
    vi.stubGlobal('fetch', () =>
      Promise.resolve(new Response(body((stream) => stream.error(new Error('cut'))))),
    );
    const frames: unknown[] = [];
    const reading = (async () => {
      for await (const frame of streamed('POST', '/v1/conversations', {})) frames.push(frame);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'offline' });
  });

  it('end with their last frame', async () => {
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(body((stream) => stream.close()))));
    const frames = [];
    for await (const frame of streamed('GET', '/web/models/events')) frames.push(frame);
    expect(frames).toEqual([{ event: 'a', data: { n: 1 } }]);
  });
});
