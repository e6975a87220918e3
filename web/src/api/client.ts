/**
 * The one way to the server: same origin, JSON, the session's cookie and its CSRF token, errors as ApiError.
 *
 * Knows no endpoint. `api/session.svelte.ts` hands it the token and hears from it when the session has ended; whoever can
 * make room is asked to when the server has none.
 */
import { ApiError, errorFrom } from './errors';
import { readFrames, type Frame } from './sse';

export { ApiError } from './errors';

export interface Options {
  signal?: AbortSignal;
  headers?: Record<string, string>;
  query?: Record<string, string | number | boolean | null | undefined>;
  /** The browser sees to it even when the page goes at once; nobody may be left to hear how it went. */
  keepalive?: boolean;
}

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

let csrf: string | null = null;
let onSignedOut: () => void = () => {};
let makeRoom: () => Promise<boolean> = () => Promise.resolve(false);

export function useCsrf(token: string | null): void {
  csrf = token;
}

/** Called once per request that the server refused for want of a session. */
export function whenSignedOut(listener: () => void): void {
  onSignedOut = listener;
}

/** Called when a person's conversations are full; tells whether there is more room now, so that one may ask once more. */
export function whenFull(act: () => Promise<boolean>): void {
  makeRoom = act;
}

export function withQuery(path: string, query: Options['query']): string {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== null && value !== undefined && value !== '') words.set(name, String(value));
  }
  const written = words.toString();
  return written ? `${path}?${written}` : path;
}

async function bodyOf(response: Response): Promise<unknown> {
  const written = await response.text();
  if (!written) return null;
  try {
    return JSON.parse(written);
  } catch {
    return null;
  }
}

function payload(body: unknown, headers: Record<string, string>): BodyInit | undefined {
  if (body === undefined) return undefined;
  if (body instanceof Blob) {
    headers['content-type'] ??= body.type || 'application/octet-stream';
    return body;
  }
  headers['content-type'] = 'application/json';
  return JSON.stringify(body);
}

/** The raw answer, checked: throws ApiError for every refusal and when no answer came. */
export async function send(...request: Parameters<typeof asked>): Promise<Response> {
  try {
    return await asked(...request);
  } catch (error) {
    const full = error instanceof ApiError && error.code === 'history_full';
    if (!full || !(await makeRoom())) throw error;
    return asked(...request);
  }
}

async function asked(method: Method, path: string, body?: unknown, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json', ...options.headers };
  const content = payload(body, headers);
  if (method !== 'GET' && csrf) headers['x-tramontane-csrf'] = csrf;
  let response: Response;
  try {
    response = await fetch(withQuery(path, options.query), {
      method,
      headers,
      body: content,
      signal: options.signal,
      keepalive: options.keepalive ?? false,
      credentials: 'same-origin',
      redirect: 'error',
      cache: 'no-store',
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, 'the server cannot be reached', 'offline');
  }
  if (response.ok) return response;
  if (response.status === 401 && path !== '/web/sign-in') onSignedOut();
  throw errorFrom(
    response.status,
    await bodyOf(response).catch(() => null),
    response.headers.get('retry-after'),
  );
}

async function json<T>(method: Method, path: string, body?: unknown, options?: Options): Promise<T> {
  const response = await send(method, path, body, options);
  try {
    return (await bodyOf(response)) as T;
  } catch (error) {
    if (options?.signal?.aborted) throw error;
    throw new ApiError(0, 'the answer broke off', 'offline');
  }
}

export const api = {
  get: <T>(path: string, options?: Options) => json<T>('GET', path, undefined, options),
  post: <T>(path: string, body?: unknown, options?: Options) => json<T>('POST', path, body ?? {}, options),
  patch: <T>(path: string, body?: unknown, options?: Options) => json<T>('PATCH', path, body ?? {}, options),
  delete: <T>(path: string, options?: Options) => json<T>('DELETE', path, undefined, options),
};

/**
 * The frames of an event stream, from a POST with a body or a GET without. The request leaves at once, before anybody
 * reads. Throws ApiError for a refusal before the stream and, with code "offline", when the connection breaks inside it.
 * Ends quietly when `signal` aborts.
 */
export function streamed(
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
  options: Options = {},
): AsyncGenerator<Frame> {
  const headers = { ...options.headers, accept: 'text/event-stream' };
  const sent = send(method, path, body, { ...options, headers });
  // Told to whoever reads, who may come to it a little later.
  sent.catch(() => {});
  return framesOf(sent, options.signal);
}

async function* framesOf(sent: Promise<Response>, signal: AbortSignal | undefined): AsyncGenerator<Frame> {
  const response = await sent;
  if (!response.body) return;
  try {
    yield* readFrames(response.body);
  } catch (error) {
    if (signal?.aborted) return;
    if (error instanceof ApiError) throw error;
    throw new ApiError(0, 'the connection to the server broke off', 'offline');
  }
}
