/** Light, dark, or as the system: kept in this browser and, when signed in, with the person. */
import type { ThemeChoice } from '../api/types';

const KEPT = 'tramontane.theme';
const BARS: Record<ThemeChoice, string> = { light: '#f4f5f5', dark: '#121518' };
const system = matchMedia('(prefers-color-scheme: dark)');

class Theme {
  /** What was chosen; null is as the system. */
  choice = $state<ThemeChoice | null>(null);
}

export const theme = new Theme();

function show(): void {
  const shown = theme.choice ?? (system.matches ? 'dark' : 'light');
  document.documentElement.dataset.theme = shown;
  document.querySelector('meta[name=theme-color]')?.setAttribute('content', BARS[shown]);
}

export function setTheme(choice: ThemeChoice | null): void {
  theme.choice = choice;
  try {
    if (choice) localStorage.setItem(KEPT, choice);
    else localStorage.removeItem(KEPT);
  } catch {
    // Storage may be shut; the choice then lasts as long as the page.
  }
  show();
}

export function startTheme(): void {
  try {
    const kept = localStorage.getItem(KEPT);
    theme.choice = kept === 'light' || kept === 'dark' ? kept : null;
  } catch {
    theme.choice = null;
  }
  system.addEventListener('change', show);
  show();
}
