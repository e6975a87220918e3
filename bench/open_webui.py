"""The same questions to Open WebUI: the page in a browser, lists and searches over ten thousand chats.

`python -m bench open-webui` installs it into an environment of its own (2.5 GB), starts it over the scripted model that our
own page is measured with, signs in as its only user, and fills its SQLite file with the same words. What only its vendor's
services or a language model would add (titles, tags, embeddings, updates) is switched off.
"""

import http.client
import json
import random
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.browser.chat import MODEL
from tests.browser.chromium import chromium
from tests.browser.frames import frames_per_second
from tests.fakes.scripted_server import ScriptedServer, scripted_server

from bench import assistant
from bench.assistant_browser import API_FIRST_WORD, LOADED, LONG, PAINT, PAIRS, TOKENS_PER_S, WATCH_MS
from bench.contestants import free_port, process
from bench.environment import OPEN_WEBUI

START_TIMEOUT_S = 300
REQUESTS = 8
HEAD = "| figure | Open WebUI |\n| --- | --- |\n"
SETTLED_MS = 8000
PAGE_FIRST_WORD = """() => {
  let told, began = 0;
  window.first = new Promise((done) => { told = done; });
  setTimeout(() => told(null), 10_000);
  const said = () => document.body.textContent.split('word0').length;
  const before = said();
  addEventListener('keydown', (event) => { if (event.key === 'Enter' && !began) began = performance.now(); }, {capture: true});
  const watch = new MutationObserver(() => {
    if (!began || said() <= before) return;
    watch.disconnect();
    told(performance.now() - began);
  });
  watch.observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


def part(rounds: int) -> dict[str, object]:
    """Its figures, without goals: those are ours."""
    try:
        OPEN_WEBUI.python()
    except subprocess.CalledProcessError:
        return {"head": HEAD, "rows": ["| not measured: it could not be installed | |"]}
    with tempfile.TemporaryDirectory(prefix="tramontane-bench-") as folder, scripted_server() as scripted:
        found = measure(Path(folder), scripted, rounds)
    rows = [f"| {name} | {value:.3g} |" for name, value in found.items()]
    print("\n".join(rows), flush=True)
    return {"head": HEAD, "rows": rows}


def measure(folder: Path, scripted: ScriptedServer, rounds: int) -> dict[str, float]:
    """The page first, while it has no chats; then lists and searches."""
    with open_webui(folder, scripted) as (address, started_s), chromium() as browser:
        found = {"start to its health check, s": started_s, **paint(browser, address, rounds)}
        with browser.new_context(base_url=address) as context:
            found |= first_word(context)
            found |= smoothness(context, scripted)
        user, token = signed_in(address)
        fill(folder / "webui.db", user, assistant.CONVERSATIONS)
        return found | looks(address, token)


@contextmanager
def open_webui(folder: Path, scripted: ScriptedServer) -> Iterator[tuple[str, float]]:
    """Its address, and the seconds it took to be there."""
    port = free_port()
    settings = {
        "DATA_DIR": str(folder),
        "OPENAI_API_BASE_URL": scripted.address,
        "OPENAI_API_KEY": "none",
        "WEBUI_AUTH": "False",
        "WEBUI_SECRET_KEY": "benchmark",
        "OFFLINE_MODE": "true",
        "ENABLE_OLLAMA_API": "False",
        "RAG_EMBEDDING_ENGINE": "openai",
        "ENABLE_TITLE_GENERATION": "False",
        "ENABLE_TAGS_GENERATION": "False",
        "ENABLE_FOLLOW_UP_GENERATION": "False",
    }
    serve = [str(OPEN_WEBUI.program("open-webui")), "serve", "--host", "127.0.0.1", "--port", str(port)]
    began = time.perf_counter()
    with process(serve, "open-webui", **settings) as child:
        while not healthy(port):
            if child.poll() is not None or time.perf_counter() - began > START_TIMEOUT_S:
                raise RuntimeError("Open WebUI did not start; see bench/.work/open-webui.log")
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}", time.perf_counter() - began


def healthy(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False


def signed_in(address: str) -> tuple[str, str]:
    """Id and token of the only user."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc)
    body = json.dumps({"email": "", "password": ""})
    connection.request("POST", "/api/v1/auths/signin", body, {"content-type": "application/json"})
    said = json.loads(connection.getresponse().read())
    return said["id"], said["token"]


def paint(browser: Browser, address: str, rounds: int) -> dict[str, float]:
    paints, scripts = [], []
    for _ in range(rounds + 1):
        with browser.new_context(base_url=address, service_workers="block") as context:
            page = opened(context)
            paints.append(float(page.evaluate(PAINT)))
            loaded = page.evaluate(LOADED)
            scripts.append(sum(one["coded"] for one in loaded if ".js" in one["name"]))
    return {
        "first paint of a fresh browser, ms": statistics.median(paints[1:]),
        "scripts of the first screen, as sent, kB": statistics.median(scripts) / 1000,
    }


def opened(context: BrowserContext) -> Page:
    """Its first screen, once nothing more is fetched for it."""
    page = context.new_page()
    page.goto("/")
    expect(page.locator("#chat-input")).to_be_visible(timeout=60_000)
    page.wait_for_timeout(SETTLED_MS)
    page.keyboard.press("Escape")
    return page


def ask(page: Page, text: str) -> None:
    field = page.locator("#chat-input")
    field.click()
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def first_word(context: BrowserContext) -> dict[str, float]:
    page = opened(context)
    ask(page, "count:5")
    page.wait_for_timeout(3000)
    token = page.evaluate("localStorage.token")
    asked = ["/api/chat/completions", {"authorization": f"Bearer {token}"}, MODEL]
    plain, added = [], []
    for _ in range(PAIRS):
        plain.append(float(page.evaluate(API_FIRST_WORD, asked)))
        page.evaluate(PAGE_FIRST_WORD)
        ask(page, "count:5")
        shown = page.evaluate("window.first")
        if shown is not None:
            added.append(float(shown) - plain[-1])
        page.wait_for_timeout(2500)
    return {
        "its API's own first word, ms": statistics.median(plain),
        "added to it, key to the word in the page, ms": statistics.median(added),
    }


def smoothness(context: BrowserContext, scripted: ScriptedServer) -> dict[str, float]:
    scripted.tokens_per_s = TOKENS_PER_S
    page = opened(context)
    ask(page, LONG)
    page.wait_for_timeout(3000)
    return {"frames/s streaming": frames_per_second(page, WATCH_MS)}


def fill(file: Path, user: str, chats: int) -> None:
    """The same conversations as ours, written where it keeps its own."""
    chance, now = random.Random(7), int(time.time())
    with sqlite3.connect(file, timeout=60) as database:
        for place in range(chats):
            chat_id = f"bench-{place:08d}"
            messages = {
                f"{chat_id}-{step}": message(chat_id, step, place, chance, now) for step in range(assistant.ENTRIES)
            }
            last = f"{chat_id}-{assistant.ENTRIES - 1}"
            title = assistant.sentence(chance)[:40]
            kept = {"title": title, "models": [MODEL], "history": {"messages": messages, "currentId": last}}
            database.execute(
                "INSERT INTO chat (id, user_id, title, created_at, updated_at, archived, pinned, meta, chat, current_message_id) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, '{}', ?, ?)",
                (chat_id, user, title, now, now + place, place % 20 == 1, place % 500 == 0, json.dumps(kept), last),
            )
            database.executemany(
                "INSERT INTO chat_message (id, chat_id, user_id, role, parent_id, content, done, created_at, updated_at) "
                "VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?)",
                [
                    (key, chat_id, user, one["role"], one["parentId"], json.dumps(one["content"]), now, now)
                    for key, one in messages.items()
                ],
            )


def message(chat_id: str, step: int, place: int, chance: random.Random, now: int) -> dict[str, Any]:
    said = assistant.sentence(chance) + (f" rare{place // 100}" if step == 0 else "")
    role = "assistant" if step % 2 else "user"
    parent = f"{chat_id}-{step - 1}" if step else None
    return {
        "id": f"{chat_id}-{step}",
        "parentId": parent,
        "childrenIds": [],
        "role": role,
        "content": said,
        "timestamp": now,
    }


def looks(address: str, token: str) -> dict[str, float]:
    """Middle times of the questions that ours is asked."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=120)
    headers = {"authorization": f"Bearer {token}"}
    found: dict[str, float] = {}
    for name, path in assistant.looks().items():
        times = []
        for turn in range(REQUESTS):
            began = time.perf_counter()
            connection.request("GET", theirs(path(turn)), headers=headers)
            response = connection.getresponse()
            said = response.read()
            assert response.status == http.client.OK, said
            times.append((time.perf_counter() - began) * 1000)
        found[f"{name}, ms p50"] = statistics.median(times)
    return found


def theirs(path: str) -> str:
    """Where it takes the same question."""
    asked = parse_qs(urlsplit(path).query)
    if "q" in asked:
        return f"/api/v1/chats/search?text={quote(asked['q'][0])}"
    return f"/api/v1/chats/?page={int(asked.get('page', ['0'])[0]) + 1}"
