/** Markdown as words to be read aloud or shown in one line: marks, code and addresses left out. */

export function plainWords(markdown: string, codeWord = ''): string {
  return markdown
    .replace(
      /^ {0,3}(`{3,}|~{3,})[^\n]*\n[\s\S]*?(?:^ {0,3}\1[`~]*[ \t]*$|$(?![\s\S]))/gm,
      codeWord ? ` ${codeWord} ` : ' ',
    )
    .replace(/!\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/^ {0,3}(?:#{1,6}|>|[-+*]|\d+[.)])[ \t]+/gm, '')
    .replace(/^[|: -]+$/gm, ' ')
    .replace(/\|/g, ', ')
    .replace(/(\*\*|__|~~|`)/g, '')
    .replace(/(^|\s)[*_](\S[^*_\n]*\S|\S)[*_](?=\s|[.,;:!?]|$)/g, '$1$2')
    .replace(/https?:\/\/\S+/g, ' ')
    .replace(/[ \t]+/g, ' ')
    .replace(/\n{2,}/g, '\n')
    .trim();
}
