/** How the frame stands: the drawer on a phone, the sidebar folded away on a wide screen. */
import { MediaQuery } from 'svelte/reactivity';

const KEPT = 'tramontane.sidebar';

const narrow = new MediaQuery('(max-width: 52rem)');

class Frame {
  drawer = $state(false);
  folded = $state(false);

  /** A phone, or a window as small: the sidebar is a drawer. */
  get narrow(): boolean {
    return narrow.current;
  }
}

export const frame = new Frame();

try {
  frame.folded = localStorage.getItem(KEPT) === 'folded';
} catch {
  // Storage may be shut.
}

/** What the menu button does: opens the drawer where the screen is narrow, folds the sidebar elsewhere. */
export function toggleSidebar(): void {
  if (frame.narrow) {
    frame.drawer = !frame.drawer;
    return;
  }
  frame.folded = !frame.folded;
  try {
    localStorage.setItem(KEPT, frame.folded ? 'folded' : 'open');
  } catch {
    // It then holds as long as the page.
  }
}
