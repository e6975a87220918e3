/** The page the service worker shows when the server cannot be reached: looks for it until it is back. */
import '../theme/tokens.css';
import '../theme/base.css';
import './offline.css';

const AGAIN_MS = 5000;

async function look(): Promise<void> {
  try {
    const answer = await fetch('/healthz', { cache: 'no-store' });
    if (answer.ok) location.reload();
  } catch {
    // Not yet.
  }
}

addEventListener('online', () => void look());
setInterval(() => void look(), AGAIN_MS);
