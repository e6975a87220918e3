"""The web client in a real browser: first paint, what is downloaded for it, frames while an answer streams, the first word.

`python -m bench browser` starts the server with a scripted model that paces its answers, opens the built client in
Chromium and takes medians. Times to the first word are pairs: the page asks the
API for a plain chat completion, then a person's message is sent from the composer, so that the machine's moods fall on
both alike. Run it on a quiet machine: browser, server and model share it.
"""

import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.browser.chat import MODEL, Chat
from tests.browser.chromium import chromium
from tests.browser.frames import frames_per_second
from tests.browser.long_conversation import imported
from tests.browser.pages import settled
from tests.browser.people import Person, first_administrator
from tests.e2e.platform import Platform, serving
from tests.fakes.scripted_server import ScriptedServer, scripted_server

from bench.parts import command
from bench.report import goal_row

TOKENS_PER_S = 200.0
PAIRS = 15
WATCH_MS = 4000
MESSAGES = 1000
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
API_FIRST_WORD = """async ([path, headers, model]) => {
  const began = performance.now();
  const answer = await fetch(path, {method: 'POST', headers: {'content-type': 'application/json', ...headers},
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
# From the key that sends to the moment the first word was in the page, and to the end of the frame that drew it.
PAGE_FIRST_WORD = """() => {
  let told;
  window.first = new Promise((done) => { told = done; });
  const before = document.querySelectorAll('article.answer').length;
  let began = 0;
  addEventListener('keydown', (event) => { if (event.key === 'Enter') began = performance.now(); }, {capture: true, once: true});
  const watch = new MutationObserver(() => {
    const answers = document.querySelectorAll('article.answer');
    if (answers.length <= before || !answers[answers.length - 1].textContent.includes('word0')) return;
    watch.disconnect();
    const there = performance.now() - began;
    requestAnimationFrame(() => {
      const drawn = new MessageChannel();
      drawn.port1.onmessage = () => told([there, performance.now() - began]);
      drawn.port2.postMessage(0);
    });
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
    """Medians of the API's own time, of the page's two, and of their differences."""
    chat = Chat(page).open()
    asked = ["/v1/chat/completions", {"x-tramontane-csrf": person.client.headers["x-tramontane-csrf"]}, MODEL]
    chat.ask("count:5")
    plain, there, drawn = [], [], []
    for _ in range(pairs):
        plain.append(float(page.evaluate(API_FIRST_WORD, asked)))
        page.evaluate(PAGE_FIRST_WORD)
        chat.field.fill("count:5")
        # Nothing else is asked of the page until the word is there: looking for it costs the page more than showing it.
        page.keyboard.press("Enter")
        in_page_ms, drawn_ms = page.evaluate("window.first")
        there.append(float(in_page_ms))
        drawn.append(float(drawn_ms))
        chat.finished()

    def added(times: list[float]) -> float:
        return statistics.median(two - one for one, two in zip(plain, times, strict=True))

    return {
        "api_first_word_ms": statistics.median(plain),
        "page_first_word_ms": statistics.median(there),
        "added_in_page_ms": added(there),
        "added_drawn_ms": added(drawn),
    }


def smoothness(page: Page, address: str, where: str) -> dict[str, float]:
    """Frames per second at rest, while an answer streams, while one types and while one scrolls meanwhile."""
    chat = Chat(page).open(address)
    found = {f"fps_at_rest{where}": frames_per_second(page, 1500)}
    answers = chat.answers.count()
    chat.send(LONG)
    expect(chat.answers).to_have_count(answers + 1)
    expect(chat.answers.last).to_contain_text("tramontane")
    found[f"fps_streaming{where}"] = frames_per_second(page, WATCH_MS)
    page.evaluate(SCROLLING)
    found[f"fps_streaming_and_scrolling{where}"] = frames_per_second(page, WATCH_MS)
    page.evaluate("window.endScrolling()")
    page.evaluate(TYPING)
    found[f"fps_streaming_and_typing{where}"] = frames_per_second(page, WATCH_MS)
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


def one_round(context: BrowserContext, long: str) -> dict[str, float]:
    """Frames in a new conversation and in one of a thousand messages."""
    found: dict[str, float] = {}
    for address, where in (("/", ""), (long, f"_behind_{MESSAGES:,}_messages")):
        page = context.new_page()
        found |= smoothness(page, address, where)
        page.close()
    return found


def measure(platform: Platform, scripted: ScriptedServer, rounds: int) -> dict[str, Any]:
    """All figures of one run."""
    person = first_administrator(platform)
    found: dict[str, Any] = {}
    with chromium() as browser:
        found |= paint(browser, person, rounds)
        with person.window(browser, reduced_motion="no-preference") as context:
            found |= first_word(context.new_page(), person, PAIRS)
            scripted.tokens_per_s = TOKENS_PER_S
            long = f"/chat/{imported(person, MESSAGES)}"
            runs = [one_round(context, long) for _ in range(rounds)]
    found |= {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return found


def part(rounds: int) -> dict[str, object]:
    """The figures of one run, each against its goal."""
    work = Path(tempfile.mkdtemp(prefix="tramontane-bench-"))
    try:
        with scripted_server() as scripted:
            command(work, "models", "add", f"{scripted.address}#{MODEL}", "--licence", "apache-2.0", "--accept-licence")
            with serving(work, TRAMONTANE_DEFAULT_MODEL=MODEL) as platform:
                found = measure(platform, scripted, rounds)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    most = [
        ("first paint of a fresh browser, ms", found["first_paint_ms"], 1000),
        ("scripts of the first screen, compressed, kB", found["scripts_kb"], 200),
        ("added to the API's own first word, key to page, ms", found["added_in_page_ms"], 20),
        ("added to the API's own first word, key to the drawn frame, ms", found["added_drawn_ms"], 20),
    ]
    rows = [goal_row(name, value, goal, most=True) for name, value, goal in most]
    rows += [goal_row(f"frames/s {name[4:].replace('_', ' ')}", value, 50) for name, value in frames(found)]
    return {"rows": rows}


def frames(found: dict[str, Any]) -> list[tuple[str, float]]:
    return [(name, value) for name, value in found.items() if name.startswith("fps_streaming")]
