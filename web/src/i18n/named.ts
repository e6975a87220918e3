/** The files of one language as one list of words, each key led by its file's name; `typeset` sees every text once. */
export function named(
  files: Record<string, Record<string, string>>,
  typeset: (words: string) => string = (words) => words,
): Record<string, string> {
  const words: Record<string, string> = {};
  for (const [file, entries] of Object.entries(files)) {
    for (const [key, text] of Object.entries(entries)) words[`${file}.${key}`] = typeset(text);
  }
  return words;
}
