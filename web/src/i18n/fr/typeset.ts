/**
 * French sets a space before high punctuation, and it must not let the mark begin a line. The files are written with
 * plain spaces; here they become narrow (before ; ? !) and full (before :, inside quotation marks) no-break ones.
 */
export function typeset(words: string): string {
  return words.replace(/ (?=[;?!])/g, '\u202f').replace(/ (?=[:»])|(?<=«) /g, '\u00a0');
}
