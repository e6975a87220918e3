/**
 * Puts off what nobody looks for at first until the page has nothing more urgent to do. All that waits is done together,
 * so that it costs one change of the page.
 */

/** What is being asked of a server just now comes before it; an answer begins sooner than this where it can. */
const REST_MS = 150;
/** A page that is never idle does it all the same. */
const PATIENCE_MS = 300;

const waiting = new Set<() => void>();
let planned = false;

function plan(): void {
  if (planned) return;
  planned = true;
  setTimeout(() => {
    if (typeof requestIdleCallback === 'undefined') run();
    else requestIdleCallback(run, { timeout: PATIENCE_MS });
  }, REST_MS);
}

function run(): void {
  planned = false;
  const due = [...waiting];
  waiting.clear();
  for (const act of due) {
    try {
      act();
    } catch (error) {
      // Those that wait beside it have no part in it.
      reportError(error);
    }
  }
}

/** Calls `act` once, when there is time; what is given back calls it off. */
export function whenIdle(act: () => void): () => void {
  waiting.add(act);
  plan();
  return () => waiting.delete(act);
}
