/** Finds commands by what is typed: letters in order, better at the beginnings of words. Pure. */

function folded(text: string): string {
  return text
    .normalize('NFD')
    .replace(/\p{Mn}/gu, '')
    .toLowerCase();
}

/** Null when the letters of `wanted` do not all occur in `name` in this order. */
export function score(wanted: string, name: string): number | null {
  const letters = [...folded(wanted).replace(/\s+/g, '')];
  const text = folded(name);
  if (letters.length === 0) return 0;
  const straight = text.indexOf(folded(wanted).trim());
  if (straight >= 0 && isStart(text, straight)) return 1000 - straight - text.length / 100;
  // Inside a word: weaker than two beginnings of words.
  if (straight >= 0) return letters.length * 5 - text.length / 100;
  let total = 0;
  let at = -1;
  for (const letter of letters) {
    const next = text.indexOf(letter, at + 1);
    if (next < 0) return null;
    total += isStart(text, next) ? 10 : next === at + 1 ? 6 : 1;
    at = next;
  }
  return total - text.length / 100;
}

function isStart(text: string, at: number): boolean {
  return at === 0 || /[\s\-/·:'’(]/.test(text[at - 1] ?? '');
}

/** Those that match, best first; as given where nothing is typed. */
export function best<T>(wanted: string, items: readonly T[], nameOf: (item: T) => string, most = 50): T[] {
  if (wanted.trim() === '') return items.slice(0, most);
  return items
    .map((item, index) => ({ item, index, score: score(wanted, nameOf(item)) }))
    .filter((found): found is { item: T; index: number; score: number } => found.score !== null)
    .sort((a, b) => b.score - a.score || a.index - b.index)
    .slice(0, most)
    .map((found) => found.item);
}
