/** What this browser keeps of a person beside the session. Leaving by one's own will takes it away; a session that ends does not. */

/** Where words that were typed and not sent are kept. */
export function draftsKey(person: string): string {
  return `tramontane.drafts.${person}`;
}

export function forgetDrafts(person: string): void {
  try {
    localStorage.removeItem(draftsKey(person));
  } catch {
    // Storage is shut, so nothing is kept.
  }
}
