/** A conversation found again after the connection broke. Knows when to ask and when to give up; keeps nothing. */
import { ApiError } from '../api/errors';
import type { History } from '../api/types';
import { conversations } from './calls';
import { sleep } from './sleep';

const RETRIES_MS = [500, 1000, 2000, 3000, 5000];

/** Asks until the server is back, and gives what it has saved; null for who has left. Throws what the server refuses. */
export async function foundAgain(id: string, left: AbortSignal): Promise<History | null> {
  for (let attempt = 0; !left.aborted; attempt += 1) {
    try {
      return await conversations.history(id, left);
    } catch (error) {
      if (left.aborted) return null;
      if (error instanceof ApiError && !error.offline && error.status < 500) throw error;
    }
    await sleep(RETRIES_MS[Math.min(attempt, RETRIES_MS.length - 1)] ?? 5000);
  }
  return null;
}
