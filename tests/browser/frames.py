"""How smooth a page is: the display's frames counted while something happens, against the rate when nothing does."""

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


def ratio_to_display(page: Page, over_ms: int = 3000) -> tuple[float, float]:
    """Frames per second now, and what share of the display's own rate (a blank page beside) that is."""
    now = frames_per_second(page, over_ms)
    blank = page.context.new_page()
    try:
        rate = frames_per_second(blank, 1000)
    finally:
        blank.close()
    return now, now / rate
