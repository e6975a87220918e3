"""What a browser keeps of a person beside the session: looked at from outside the client's own code."""

from playwright.sync_api import Page
from tests.waiting import wait_until

# Opening a database that is not there would make it, without what the client wants in it.
COUNT = """async () => {
  if (!(await indexedDB.databases()).some((one) => one.name === "tramontane")) return 0;
  return new Promise((resolve, reject) => {
    const asked = indexedDB.open("tramontane");
    asked.onerror = () => reject(asked.error);
    asked.onsuccess = () => {
      const all = asked.result.transaction("unsent_files").objectStore("unsent_files").getAll();
      all.onsuccess = () => {
        asked.result.close();
        resolve(all.result.reduce((sum, row) => sum + row.files.length, 0));
      };
    };
  });
}"""


def unsent_files(page: Page, count: int) -> None:
    """Wait until the browser keeps exactly this many files that were attached and not sent, of whomever."""
    wait_until(lambda: page.evaluate(COUNT) == count, lambda: page.evaluate(COUNT))


def drafts(page: Page) -> list[str]:
    """Unsent words that this browser keeps for later, by name."""
    return [name for name in page.evaluate("Object.keys(localStorage)") if "drafts" in name]
