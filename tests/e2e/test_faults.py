"""What must hold when things break: an engine killed, a client gone, a port taken, a signal, a full disk of weights gone."""

import http.client
import json
import os
import shutil
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import CHAT
from tests.e2e.platform import Platform, run, serving, start, wait_until_said
from tests.fakes.scripted_server import MODEL, ScriptedServer
from tests.waiting import PATIENCE_S, wait_until

STREAMS = 32


@pytest.fixture(scope="module")
def breakable(installed_home: Path) -> Any:
    """A server of this file's own."""
    with serving(installed_home, TRAMONTANE_ENGINE__MAX_SEQUENCES="40") as running:
        yield running


def body(text: str, max_tokens: int, **more: object) -> dict[str, object]:
    return {"model": CHAT, "messages": [{"role": "user", "content": text}], "max_tokens": max_tokens,
            "ignore_eos": True, "temperature": 0, **more}  # fmt: skip


def stream(platform: Platform, request: dict[str, object], started: threading.Barrier | None = None) -> list[str]:
    """The `data:` payloads of one streamed answer, to its end."""
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=120)
    headers = {"Authorization": f"Bearer {platform.key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps({**request, "stream": True}), headers)
    response = connection.getresponse()
    lines: list[str] = []
    waiting = started
    for raw in response:
        line = raw.decode().strip()
        if line.startswith("data: "):
            lines.append(line.removeprefix("data: "))
            if waiting is not None and len(lines) == 3:
                waiting.wait(120)
                waiting = None
    connection.close()
    return lines


def ask(platform: Platform, request: dict[str, object]) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=120)
    headers = {"Authorization": f"Bearer {platform.key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(request), headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def with_key(platform: Platform, name: str) -> Platform:
    """The same server, asked with a new key of that name."""
    made = run(platform.home, "key", "create", name)
    secret = made.stdout.strip()
    assert made.stdout == secret + "\n" and " " not in secret
    return replace(platform, key=secret)


def counted(platform: Platform, key_name: str) -> dict[str, int]:
    """What the book says of a key, as `usage` shows it."""
    head, *rows = (line.split() for line in run(platform.home, "usage", "--by", "key").stdout.splitlines())
    row = next((row for row in rows if row[0] == key_name), [])
    return {name: int(cell) for name, cell in zip(head, row, strict=False) if cell.isdigit()}


def in_the_book(platform: Platform, key_name: str, **expected: int) -> dict[str, int]:
    """The key's sums, once they are these: a receipt is written down a moment after the answer."""

    def sums() -> dict[str, int] | None:
        found = counted(platform, key_name)
        return found if found.items() >= expected.items() else None

    found: dict[str, int] = wait_until(sums, lambda: counted(platform, key_name))
    return found


def test_a_killed_engine_fails_only_its_own_requests_and_is_replaced(breakable: Platform) -> None:
    mine, before = with_key(breakable, "killed"), breakable.engine(CHAT)
    started = threading.Barrier(STREAMS + 1)
    with ThreadPoolExecutor(STREAMS) as pool:
        answers = [pool.submit(stream, mine, body(f"Count from {number}.", 2000), started) for number in range(STREAMS)]
        started.wait(120)
        before.send_signal(signal.SIGKILL)
        ended = [answer.result(PATIENCE_S) for answer in answers]
    assert "hangs" not in breakable.said, "the death itself was not noticed"
    for lines in ended:
        last = json.loads(lines[-1])
        assert last["choices"][0]["finish_reason"] == "error", lines[-2:]
        assert sum('"finish_reason":"' in line for line in lines) == 1
    status, answer = ask(breakable, body("Hello.", 4))
    assert status == 200, answer
    assert answer["usage"]["completion_tokens"] == 4
    assert breakable.engine(CHAT).pid != before.pid
    in_the_book(breakable, "killed", requests=STREAMS, failed=STREAMS)


def leave_in_the_middle(platform: Platform) -> None:
    """Hang up on a long answer that has begun and is being written."""
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=60)
    headers = {"Authorization": f"Bearer {platform.key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body("Go on and on.", 4000, stream=True)), headers)
    response = connection.getresponse()
    response.read(200)
    assert metric(platform, "tramontane_requests_running", CHAT) == 1
    response.close()
    connection.close()


def test_a_client_that_leaves_frees_its_slot(breakable: Platform) -> None:
    """Its slot is free again, and the book says that the answer was not written to its end for nobody."""
    leave_in_the_middle(with_key(breakable, "leaving"))
    wait_until(lambda: metric(breakable, "tramontane_requests_running", CHAT) == 0)
    assert in_the_book(breakable, "leaving", requests=1, cancelled=1)["generated"] < 4000


def metric(platform: Platform, name: str, model: str) -> float:
    """One sample of /metrics; the metric must be there."""
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=60)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {platform.key}"})
    lines = connection.getresponse().read().decode().splitlines()
    (sample,) = [line for line in lines if line.startswith(f"{name}{{") and f'"{model}"' in line]
    return float(sample.rsplit(" ", 1)[1])


def test_two_hundred_clients_at_once_all_get_an_answer_or_a_reason(breakable: Platform) -> None:
    with ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(lambda number: ask(breakable, body(f"Say {number}.", 4)), range(200)))
    statuses = {status for status, _ in answers}
    assert statuses <= {200, 429, 503}
    assert sum(status == 200 for status, _ in answers) >= 32
    for status, answer in answers:
        if status != 200:
            assert answer["code"] in {"too_many_waiting", "overloaded"}, answer


def test_usage_counts_every_request_once(breakable: Platform) -> None:
    mine = with_key(breakable, "counted")
    assert [ask(mine, body("Hello.", 3))[0] for _ in range(5)] == [200] * 5
    leave_in_the_middle(mine)
    assert in_the_book(breakable, "counted", requests=6, failed=0, cancelled=1, refused=0)["generated"] >= 5 * 3


def test_a_taken_port_is_named(installed_home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        platform = start(installed_home, port)
        assert platform.process.wait(60) == 1
    assert f"port {port} of 127.0.0.1 is in use" in platform.said
    assert "TRAMONTANE_PORT" in platform.said


def test_the_default_model_may_be_an_alias(installed_home: Path) -> None:
    assert run(installed_home, "models", "alias", "house-model", CHAT).returncode == 0
    with serving(installed_home, TRAMONTANE_DEFAULT_MODEL="house-model") as platform:
        assert f"{CHAT} is loaded" in platform.said
        status, answer = ask(platform, {**body("Hello.", 2), "model": "house-model"})
        assert status == 200 and answer["usage"]["completion_tokens"] == 2
    assert run(installed_home, "models", "alias", "house-model", "--remove").returncode == 0


def test_ctrl_c_lets_open_answers_end(installed_home: Path, scripted: ScriptedServer) -> None:
    """One answer that goes on as long as the test wants, and one of weights beside it."""
    question = "held:20 until the server stops"
    with serving(installed_home, TRAMONTANE_HTTP__DRAIN_S="120") as platform, ThreadPoolExecutor(2) as pool:
        started = threading.Barrier(3)
        held = pool.submit(stream, platform, {**body(question, 2000), "model": MODEL}, started)
        real = pool.submit(stream, platform, body("Count.", 200), started)
        started.wait(PATIENCE_S)
        platform.process.send_signal(signal.SIGINT)
        wait_until_said(platform, "open requests may end")
        assert ask(platform, body("Hello.", 1))[1]["code"] == "draining"
        scripted.released.add(question)
        assert platform.process.wait(120) == 0
        assert held.result(30)[-1] == real.result(30)[-1] == "[DONE]"
    assert "Stopped." in platform.said


def test_altered_weights_are_refused_by_name(installed_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(installed_home, home, symlinks=True)
    repull = run(home, "models", "pull", CHAT)  # a moved data folder's paths are taken up by pulling again
    assert repull.returncode == 0, repull.stderr
    weights = home / "models" / CHAT / "prepared" / "weights.safetensors"
    with weights.open("r+b") as file:
        file.seek(-1000, os.SEEK_END)
        file.write(b"\xff" * 8)
    result = run(home, "complete", "Hello", "--max-tokens", "2")
    assert result.returncode == 1
    assert "weights.safetensors: expected SHA-256" in result.stderr


def test_the_terminal_talks_without_a_server(installed_home: Path) -> None:
    result = run(installed_home, "chat", "--max-tokens", "20", "--temperature", "0",
                 stdin="What is the capital of France?\nAnd its river?\n/quit\n")  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "Paris" in result.stdout
    assert result.stderr.count("tokens/s") == 2
    assert "cached" in result.stderr


def test_the_terminal_counts_what_the_api_counts(installed_home: Path, breakable: Platform) -> None:
    counted = run(installed_home, "complete", "What is the capital of France?", "--count")
    _, answer = ask(breakable, body("What is the capital of France?", 1))
    assert int(counted.stdout) == answer["usage"]["prompt_tokens"]


def test_a_key_is_alone_on_standard_output_and_ends_when_revoked(breakable: Platform) -> None:
    mine = with_key(breakable, "short-lived")
    assert ask(mine, body("Hi.", 1))[0] == 200
    assert run(breakable.home, "key", "revoke", "short-lived").returncode == 0
    assert wait_until(lambda: (status := ask(mine, body("Hi.", 1))[0]) != 200 and status) == 401


def test_an_unknown_setting_refuses_to_start(installed_home: Path) -> None:
    result = run(installed_home, "serve", TRAMONTANE_PROT="1")
    assert result.returncode == 1
    assert "TRAMONTANE_PROT" in result.stderr
