/** What a browser calls itself, in the two words a person knows it by. The rest of the line is history. */

const BROWSERS: [RegExp, string][] = [
  [/\bEdg(e|A|iOS)?\//, 'Edge'],
  [/\bOPR\//, 'Opera'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\b(Firefox|FxiOS)\//, 'Firefox'],
  [/\b(Chrome|CriOS|Chromium|HeadlessChrome)\//, 'Chrome'],
  [/\bVersion\/.*Safari\//, 'Safari'],
];
const SYSTEMS: [RegExp, string][] = [
  [/iPhone|iPod/, 'iPhone'],
  [/iPad/, 'iPad'],
  [/Android/, 'Android'],
  [/Windows/, 'Windows'],
  [/Mac OS X|Macintosh/, 'macOS'],
  [/CrOS/, 'ChromeOS'],
  [/Linux/, 'Linux'],
];

function first(list: [RegExp, string][], text: string): string | null {
  return list.find(([pattern]) => pattern.test(text))?.[1] ?? null;
}

export function deviceOf(agent: string | null): { name: string | null; phone: boolean } {
  if (!agent) return { name: null, phone: false };
  const words = [first(BROWSERS, agent), first(SYSTEMS, agent)].filter((word) => word !== null);
  // A program that is no browser names itself in its first word.
  const name = words.join(', ') || agent.split(/[\s/]/)[0] || null;
  return { name, phone: /iPhone|iPod|Android.*Mobile/.test(agent) };
}
