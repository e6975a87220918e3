/** One kind of error for everything the server refuses and for the server being out of reach. */

export interface FieldProblem {
  field: string;
  message: string;
}

/**
 * `status` 0 means no answer came (`code` "offline"). `message` is the server's own sentence: what is wrong and what
 * to do. `retryAfterS` is set where waiting helps, `conversationId` where the refusal is about a conversation that the
 * page may not know.
 */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code: string | null = null,
    readonly param: string | null = null,
    readonly retryAfterS: number | null = null,
    readonly fields: FieldProblem[] = [],
    readonly conversationId: string | null = null,
  ) {
    super(message);
    this.name = 'ApiError';
  }

  get offline(): boolean {
    return this.code === 'offline';
  }
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value ? value : null;
}

function fieldProblems(detail: unknown): FieldProblem[] {
  if (!Array.isArray(detail)) return [];
  return detail.flatMap((one: { loc?: unknown; msg?: unknown }) => {
    const place = Array.isArray(one?.loc) ? one.loc.filter((part) => part !== 'body').join('.') : '';
    const message = text(one?.msg);
    return message ? [{ field: place, message }] : [];
  });
}

/** The error a refusal speaks of. Reads the Mistral shape, and what proxies send in its place. */
export function errorFrom(status: number, body: unknown, retryAfter: string | null): ApiError {
  const shape = (body && typeof body === 'object' ? body : {}) as Record<string, unknown>;
  const fields = fieldProblems(shape.detail);
  const first = fields[0];
  const message =
    text(shape.message) ??
    (first ? `${first.field}: ${first.message}` : null) ??
    text(shape.detail) ??
    `HTTP ${status}`;
  const seconds = Number(retryAfter);
  const retryAfterS = retryAfter && Number.isFinite(seconds) && seconds > 0 ? seconds : null;
  return new ApiError(
    status,
    message,
    text(shape.code),
    text(shape.param),
    retryAfterS,
    fields,
    text(shape.conversation_id),
  );
}
