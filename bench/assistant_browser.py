"""The web client in a real browser: first paint, what is downloaded for it, frames while an answer streams, the first word.

`python -m bench.assistant_browser [ROUNDS]` starts the server with a scripted model that
paces its answers, opens the built client in Chromium and prints medians. Times to the first word are pairs: the page asks the
API for a plain chat completion, then a person's message is sent from the composer, so that the machine's moods fall on
both alike. Run it on a quiet machine: browser, server and model share it.
"""

import argparse
import json
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect
from tests.browser.chat import MODEL, Chat
from tests.browser.chromium import chromium
from tests.browser.frames import frames_per_second
from tests.browser.pages import settled
from tests.browser.people import Person, first_administrator
from tests.browser.scripted_server import ScriptedServer, scripted_server
from tests.e2e.platform import Platform, run, serving

TOKENS_PER_S = 200.0
PAIRS = 15
WATCH_MS = 4000
LONG = "paced:6000"
PAINT = """() => new Promise((done) => {
  const look = () => {
    const found = performance.getEntriesByName('first-contentful-paint')[0];
    if (found) done(found.startTime); else setTimeout(look, 5);
  };
  look();
})"""
LOADED = """() => performance.getEntriesByType('resource')
  .map((one) => ({name: one.name, type: one.initiatorType, size: one.transferSize, coded: one.encodedBodySize}))"""
API_FIRST_WORD = """async ([model, csrf]) => {
  const began = performance.now();
  const answer = await fetch('/v1/chat/completions', {method: 'POST',
    headers: {'content-type': 'application/json', 'x-tramontane-csrf': csrf},
    body: JSON.stringify({model, stream: true, messages: [{role: 'user', content: 'count:5'}]})});
  const reader = answer.body.getReader(), decoder = new TextDecoder();
  let text = '', first = 0;
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return first;
    text += decoder.decode(value, {stream: true});
    if (!first && text.includes('word0')) first = performance.now() - began;
  }
}"""
# From the key that sends to the frame in which the first word stands on the screen, and to the moment it was in the page.
PAGE_FIRST_WORD = """() => {
  window.first = null;
  const before = document.querySelectorAll('article.answer').length;
  let began = 0;
  addEventListener('keydown', (event) => { if (event.key === 'Enter') began = performance.now(); }, {capture: true, once: true});
  const watch = new MutationObserver(() => {
    const answers = document.querySelectorAll('article.answer');
    if (answers.length <= before || !answers[answers.length - 1].textContent.includes('word0')) return;
    watch.disconnect();
    window.first = performance.now() - began;
  });
  watch.observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


def paint(browser: Browser, person: Person, rounds: int) -> dict[str, float]:
    """First contentful paint of a fresh browser on a warm server, and the script bytes it took, compressed."""
    paints, scripts = [], []
    for _ in range(rounds + 1):
        with person.window(browser, service_workers="block") as context:
            page = context.new_page()
            page.goto("/")
            paints.append(float(page.evaluate(PAINT)))
            expect(Chat(page).field).to_be_visible()
            settled(page)
            loaded = page.evaluate(LOADED)
            scripts.append(sum(one["coded"] for one in loaded if one["name"].endswith(".js")))
    return {"first_paint_ms": statistics.median(paints[1:]), "scripts_kb": statistics.median(scripts) / 1000}


def first_word(page: Page, person: Person, pairs: int) -> dict[str, float]:
    """Medians of the API's own time, of the page's, and of their differences."""
    chat = Chat(page).open()
    asked = [MODEL, person.client.headers["x-tramontane-csrf"]]
    chat.ask("count:5")
    plain, shown = [], []
    for _ in range(pairs):
        plain.append(float(page.evaluate(API_FIRST_WORD, asked)))
        page.evaluate(PAGE_FIRST_WORD)
        chat.ask("count:5")
        shown.append(float(page.evaluate("window.first")))
    added = [two - one for one, two in zip(plain, shown, strict=True)]
    return {
        "api_first_word_ms": statistics.median(plain),
        "page_first_word_ms": statistics.median(shown),
        "added_ms": statistics.median(added),
    }


def smoothness(page: Page, scripted: ScriptedServer) -> dict[str, float]:
    """Frames per second at rest, while an answer streams, while one types and while one scrolls meanwhile."""
    scripted.tokens_per_s = TOKENS_PER_S
    chat = Chat(page).open()
    found = {"fps_at_rest": frames_per_second(page, 1500)}
    chat.send(LONG)
    expect(chat.answers.last).to_contain_text("tramontane")
    found["fps_streaming"] = frames_per_second(page, WATCH_MS)
    page.evaluate(SCROLLING)
    found["fps_streaming_and_scrolling"] = frames_per_second(page, WATCH_MS)
    page.evaluate("window.endScrolling()")
    page.evaluate(TYPING)
    found["fps_streaming_and_typing"] = frames_per_second(page, WATCH_MS)
    chat.button("chat.stop").click()
    chat.finished()
    return found


SCROLLING = """() => {
  const region = document.querySelector('.scroller');
  let step = 0;
  const timer = setInterval(() => region.scrollBy(0, Math.sin(step++ / 10) * 60), 16);
  window.endScrolling = () => clearInterval(timer);
}"""
TYPING = """() => {
  const field = document.querySelector('form.composer textarea');
  field.focus();
  const timer = setInterval(() => document.execCommand('insertText', false, 'a '), 80);
  setTimeout(() => clearInterval(timer), 4000);
}"""


def measure(platform: Platform, scripted: ScriptedServer, rounds: int) -> dict[str, Any]:
    """All figures of one run."""
    person = first_administrator(platform)
    found: dict[str, Any] = {}
    with chromium() as browser:
        found |= paint(browser, person, rounds)
        with person.window(browser, reduced_motion="no-preference") as context:
            found |= first_word(context.new_page(), person, PAIRS)
            runs = [smoothness(context.new_page(), scripted) for _ in range(rounds)]
    found |= {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return found


def main() -> None:
    """Measure and print, one figure a line."""
    parser = argparse.ArgumentParser(prog="python -m bench.assistant_browser", description=__doc__)
    parser.add_argument("rounds", nargs="?", type=int, default=3)
    rounds = parser.parse_args().rounds
    work = Path(tempfile.mkdtemp(prefix="tramontane-bench-"))
    home = work / "home"
    try:
        with scripted_server() as scripted:
            added = run(
                home, "models", "add", f"{scripted.address}#{MODEL}", "--licence", "apache-2.0", "--accept-licence"
            )
            assert added.returncode == 0, added.stderr
            with serving(home, TRAMONTANE_DEFAULT_MODEL=MODEL) as platform:
                found = measure(platform, scripted, rounds)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for name, value in found.items():
        print(f"{name:32}{value:10.1f}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
