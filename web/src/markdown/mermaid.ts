/** The text of the library that draws diagrams: five megabytes, fetched when the first diagram appears. */
import address from 'mermaid/dist/mermaid.min.js?url';

let fetched: Promise<string> | null = null;

export function library(): Promise<string> {
  fetched ??= fetch(address, { credentials: 'omit' })
    .then((response) => {
      if (!response.ok) throw new Error(`the drawing library did not come: ${response.status}`);
      return response.text();
    })
    .catch((error: unknown) => {
      // The next diagram may try again.
      fetched = null;
      throw error;
    });
  return fetched;
}
