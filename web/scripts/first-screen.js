/** Which built files the first screen takes, from the bundler's manifest. Pure, so that the limit can be tested. */

/** In bytes after gzip: what a browser without https gets. */
export const LIMIT = 200_000;

/** Files of `entry` and of everything it imports at once; style sheets too. */
export function closure(manifest, entry, found = new Set()) {
  const chunk = manifest[entry];
  if (!chunk || found.has(chunk.file)) return found;
  found.add(chunk.file);
  for (const sheet of chunk.css ?? []) found.add(sheet);
  for (const name of chunk.imports ?? []) closure(manifest, name, found);
  return found;
}

/** The page's own code, the chat's, and one language; `sizes` gives each file's bytes, the larger language counts. */
export function firstScreen(manifest, sizes) {
  const files = closure(manifest, 'index.html');
  closure(manifest, 'src/chat/index.ts', files);
  const languages = ['src/i18n/en/index.ts', 'src/i18n/fr/index.ts'].map((name) => [
    ...closure(manifest, name),
  ]);
  const weight = (list) => list.reduce((sum, file) => sum + (sizes[file] ?? 0), 0);
  const heavier = languages.toSorted((a, b) => weight(b) - weight(a))[0] ?? [];
  const all = [...new Set([...files, ...heavier])];
  const scripts = all.filter((file) => file.endsWith('.js'));
  const sheets = all.filter((file) => file.endsWith('.css'));
  return { scripts, sheets, scriptBytes: weight(scripts), sheetBytes: weight(sheets) };
}
