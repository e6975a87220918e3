"""How smooth a page is: the display's frames counted while something happens. For the benchmark: no test judges a speed."""

from playwright.sync_api import Page

COUNT = """async (ms) => {
  const at = [];
  const end = performance.now() + ms;
  await new Promise((done) => {
    const look = (now) => { at.push(now); if (performance.now() < end) requestAnimationFrame(look); else done(); };
    requestAnimationFrame(look);
  });
  return at;
}"""


def frames_per_second(page: Page, over_ms: int = 3000) -> float:
    """Frames shown in a second, over that time."""
    at: list[float] = page.evaluate(COUNT, over_ms)
    return (len(at) - 1) / ((at[-1] - at[0]) / 1000) if len(at) > 1 else 0.0
