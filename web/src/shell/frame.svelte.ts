/** How the frame stands: the drawer on a phone, the sidebar folded away on a wide screen. */
const KEPT = 'tramontane.sidebar';

class Frame {
  drawer = $state(false);
  folded = $state(false);
}

export const frame = new Frame();

try {
  frame.folded = localStorage.getItem(KEPT) === 'folded';
} catch {
  // Storage may be shut.
}

export const narrow = matchMedia('(max-width: 52rem)');

/** What the menu button does: opens the drawer where the screen is narrow, folds the sidebar elsewhere. */
export function toggleSidebar(): void {
  if (narrow.matches) {
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
