"""Conversations alone: lists and searches over ten thousand of them, and what keeping one adds to the first token.

`python -m bench assistant` fills a database of each kind, serves it over a fake engine on a real socket, and takes the times as
the client sees them. That is straight after the filling: an installation that was just imported into must be as fast, so nothing
waits for the database's own upkeep. Words are looked for by how they lie, since a database may be quick with a word that stands
everywhere and slow with one that stood in everything long ago; some stand in texts alone, for names are looked through before.
The first token is measured in pairs: a plain chat completion, then the same question as a conversation's start and as its next
turn, so that the machine's moods fall on all alike.
"""

import http.client
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fakes.assistant import assistant_doors
from tests.fakes.doors import KEY, scripted, serving
from tests.fakes.engine_room import FakeRoom
from tests.fakes.model_server import FakeModelServer
from tests.postgres import running_server

from bench.report import GOAL_HEAD, goal_row
from tramontane.entrypoints.api import build_app
from tramontane.features.assistant import index, store
from tramontane.features.assistant.nouns import Conversation, Entry, Numbers, Owner
from tramontane.features.assistant.words import fold
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.schema import migrate

CONVERSATIONS = 10_000
ENTRIES = 20
WORDS = 40
VOCABULARY = 20_000
REQUESTS = 60
PAIRS = 150
PORTION = 100
MINE = Owner("org", "ws_one", "key-ws_one")
THEIRS = Owner("org", "ws_one", "key-colleague")
HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}


def word(rank: int) -> str:
    """The word of that rank; the first are the most frequent."""
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    said = ""
    while rank >= 0:
        said += letters[rank % 26]
        rank = rank // 26 - 1
    return f"{said}a"


def sentence(chance: random.Random) -> str:
    ranks = (int(VOCABULARY ** chance.random()) - 1 for _ in range(WORDS))
    return " ".join(word(rank) for rank in ranks)


def marks(place: int, step: int) -> list[str]:
    """Words of texts alone, by where they lie."""
    lying = {
        f"rare{place // 100}": step == 0,
        "second1": step % 2 == 0,
        "tenth1": place % 10 == 3,
        "early1": place % CONVERSATIONS < CONVERSATIONS // 5,
    }
    return [word for word, stands in lying.items() if stands]


def fill(database: Database, conversations: int) -> None:
    """As many conversations of one owner, and a fifth as many of a colleague between them."""
    chance, numbers = random.Random(7), Numbers(time.time_ns)
    at = 0
    while at < conversations:
        with database.write() as connection:
            for place in range(at, min(at + PORTION, conversations)):
                write(connection, MINE, place, numbers, chance)
                if place % 5 == 0:
                    write(connection, THEIRS, conversations + place, numbers, chance)
        at += PORTION
    with database.write() as connection:
        index.count_rows(connection)  # as every large import does at its end


def write(connection: object, owner: Owner, place: int, numbers: Numbers, chance: random.Random) -> None:
    conversation_id = f"conv_{place:022d}"
    now_ns = time.time_ns()
    entries: list[tuple[Entry, str]] = []
    for step in range(ENTRIES):
        said = " ".join([sentence(chance), *marks(place, step)])
        one = Entry(
            entry_id=f"msg_{place}_{step}", parent_id=f"msg_{place}_{step - 1}" if step else None,
            kind="message.output" if step % 2 else "message.input", role="assistant" if step % 2 else "user",
            body={"content": said}, number=numbers.next(), created_ns=now_ns, completed_ns=now_ns, model="fake",
        )  # fmt: skip
        entries.append((one, fold(said)))
    name = sentence(chance)[:40]
    one_of_them = Conversation(
        conversation_id=conversation_id, owner_id=owner.owner_id, model="fake", number=numbers.next(), name=name,
        named_by="model", pinned=place % 500 == 0, archived=place % 20 == 1, head_entry_id=entries[-1][0].entry_id,
        preview=entries[0][0].body["content"][:140], created_ns=now_ns, updated_ns=now_ns,
    )  # fmt: skip
    store.add(connection, owner, one_of_them, fold(name))  # type: ignore[arg-type]
    store.add_entries(connection, owner, conversation_id, entries, None)  # type: ignore[arg-type]


def looks() -> dict[str, Callable[[int], str]]:
    """What is asked for, by what it shows; each request of a kind asks for something else where it can."""
    base = "/v1/conversations"
    return {
        "list, first page": lambda turn: f"{base}?page_size=50&archived=false",
        "list, page 100": lambda turn: f"{base}?page_size=50&page=100&archived=false",
        "search, most frequent word": lambda turn: f"{base}/search?q={word(turn % 5)}",
        "search, middling word": lambda turn: f"{base}/search?q={word(200 + turn)}",
        "search, rare word": lambda turn: f"{base}/search?q=rare{turn}",
        "search, frequent and rare": lambda turn: f"{base}/search?q={word(turn % 5)}+rare{turn}",
        "search, two frequent": lambda turn: f"{base}/search?q={word(turn % 5)}+{word(turn % 7 + 5)}",
        "search, in every second text": lambda turn: f"{base}/search?q=second1",
        "search, in all texts of every tenth": lambda turn: f"{base}/search?q=tenth1",
        "search, in all of the oldest fifth": lambda turn: f"{base}/search?q=early1",
        "search, two letters": lambda turn: f"{base}/search?q={word(turn % 5)[0]}{word(turn % 20)[0]}",
        "search, nothing there": lambda turn: f"{base}/search?q=zzzz{turn}+{word(turn % 5)}",
    }


def fetch(connection: http.client.HTTPConnection, path: str) -> tuple[float, int]:
    began = time.perf_counter()
    connection.request("GET", path, headers=HEADERS)
    response = connection.getresponse()
    rows = json.loads(response.read())
    assert response.status == 200, rows
    return (time.perf_counter() - began) * 1000, len(rows)


def first_token_ms(connection: http.client.HTTPConnection, path: str, body: dict[str, object]) -> tuple[float, str]:
    """Time to the first piece of text, and the id of the conversation if there is one."""
    began = time.perf_counter()
    connection.request("POST", path, json.dumps({**body, "stream": True}), HEADERS)
    response = connection.getresponse()
    found, conversation_id = 0.0, ""
    for line in response:
        if b'"conversation_id"' in line:
            conversation_id = json.loads(line.removeprefix(b"data: "))["conversation_id"]
        if not found and b"Bon" in line:
            found = (time.perf_counter() - began) * 1000
    assert response.status == 200 and found
    return found, conversation_id


def added(connection: http.client.HTTPConnection) -> dict[str, list[tuple[float, float]]]:
    """Pairs of (plain, kept) for a conversation's start and for its later turns."""
    chat = {"model": "fake", "messages": [{"role": "user", "content": "hello"}]}
    pairs: dict[str, list[tuple[float, float]]] = {"start": [], "next turn": []}
    conversation_id = ""
    for turn in range(PAIRS):
        plain, _ = first_token_ms(connection, "/v1/chat/completions", chat)
        start = {"model": "fake", "inputs": "hello", "name": "bench"}
        kept, fresh_id = first_token_ms(connection, "/v1/conversations", start)
        pairs["start"].append((plain, kept))
        conversation_id = fresh_id if turn % 10 == 0 else conversation_id
        plain, _ = first_token_ms(connection, "/v1/chat/completions", chat)
        kept, _ = first_token_ms(connection, f"/v1/conversations/{conversation_id}", {"inputs": "hello"})
        pairs["next turn"].append((plain, kept))
    return pairs


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def measure(database: Database) -> dict[str, Any]:
    """Milliseconds by question, each (middle, 95th of 100, rows), and what keeping adds to the first token."""
    room = FakeRoom(FakeModelServer("fake", script=scripted, slots=64))
    with serving(build_app(assistant_doors(database, room))) as url:
        connection = http.client.HTTPConnection(url.removeprefix("http://"))
        return {
            "looks": {name: _looked(connection, path) for name, path in looks().items()},
            "added": {
                name: statistics.median(kept - plain for plain, kept in pairs)
                for name, pairs in added(connection).items()
            },
        }


def _looked(connection: http.client.HTTPConnection, path: Callable[[int], str]) -> tuple[float, float, float]:
    fetch(connection, path(0))
    seen = [fetch(connection, path(turn)) for turn in range(REQUESTS)]
    times = [one for one, _ in seen]
    return percentile(times, 0.5), percentile(times, 0.95), statistics.mean(count for _, count in seen)


@contextmanager
def addresses(kind: str) -> Iterator[str]:
    if kind == "sqlite":
        folder = Path(tempfile.mkdtemp(prefix="tm-bench-"))
        try:
            yield f"sqlite:///{folder / 'tramontane.db'}"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    with running_server() as server:
        yield server.create()


def part(rounds: int) -> dict[str, object]:
    """Both databases, once each: every question is asked many times already."""
    table = ["| question, ms p50 / p95 | SQLite | PostgreSQL |", "| --- | --- | --- |"]
    found = {kind: filled_and_measured(kind) for kind in ("sqlite", "postgresql")}
    for name in looks():
        cells = [found[kind]["looks"][name] for kind in found]
        table.append(f"| {name} | " + " | ".join(f"{middle:.0f} / {most:.0f}" for middle, most, _ in cells) + " |")
    print("\n".join(table), flush=True)
    rows = []
    for kind, one in found.items():
        slowest = max(one["looks"].items(), key=lambda item: item[1][1])
        rows.append(goal_row(f"{kind}: slowest p95 ({slowest[0]}), ms", slowest[1][1], 100, most=True))
        for name, value in one["added"].items():
            rows.append(goal_row(f"{kind}: added to the first token by keeping it ({name}), ms", value, 20, most=True))
    return {"head": "\n".join(table) + f"\n\n{GOAL_HEAD}", "rows": rows}


def filled_and_measured(kind: str) -> dict[str, Any]:
    """The figures over a database of that kind with ten thousand conversations."""
    with addresses(kind) as address:
        database = Database.open(address)
        try:
            migrate(database, lambda stage, done, total: None)
            fill(database, CONVERSATIONS)
            return measure(database)
        finally:
            database.close()
