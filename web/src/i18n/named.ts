/** The files of one language as one list of words, each key led by its file's name. */
export function named(files: Record<string, Record<string, string>>): Record<string, string> {
  const words: Record<string, string> = {};
  for (const [file, entries] of Object.entries(files)) {
    for (const [key, text] of Object.entries(entries)) words[`${file}.${key}`] = text;
  }
  return words;
}
