"""A backup and a restore while people are served: what runs ends well, and the same server goes on with the old data."""

import http.client
import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.e2e.conftest import CHAT
from tests.e2e.platform import COMMAND, READY_S, Platform, run, serving, start, wait_until_said
from tests.fakes.scripted_server import MODEL, ScriptedServer
from tests.waiting import PATIENCE_S, wait_until


def status_of(platform: Platform, key: str, path: str = "/v1/models") -> tuple[int, str]:
    """Status, and the error's code where there is one."""
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=60)
    connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, "" if response.status == 200 else str(json.loads(body).get("code"))


def wait_for(platform: Platform, key: str, status: int, path: str = "/v1/models") -> None:
    """Until it answers so; meanwhile it may only say that one is to come again."""

    def answered() -> bool:
        found, _ = status_of(platform, key, path)
        assert found in (200, 503), found
        assert platform.process.poll() is None, platform.said
        return found == status

    wait_until(answered, lambda: platform.said, READY_S)


@pytest.fixture
def bare(address: str, tmp_path: Path) -> Iterator[Platform]:
    """A server without models, on either database; there is nowhere to fetch them from."""
    variables = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "TRAMONTANE_DATABASE_URL": address}
    home = tmp_path / "home"
    platform = start(home, **variables)
    wait_until_said(platform, "listens at")
    try:
        yield platform
    finally:
        assert platform.interrupt() == 0


def test_a_server_goes_on_with_what_was_restored(bare: Platform, address: str, tmp_path: Path) -> None:
    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run(bare.home, *arguments, TRAMONTANE_DATABASE_URL=address)

    archive = tmp_path / "then.tar"
    before = command("key", "create", "before").stdout.strip()
    assert command("backup", str(archive)).returncode == 0
    after = command("key", "create", "after").stdout.strip()
    wait_for(bare, after, 200)

    unasked = command("restore", str(archive))
    assert unasked.returncode != 0 and "not empty" in unasked.stderr
    damaged = tmp_path / "damaged.tar"
    damaged.write_bytes(archive.read_bytes()[:-20_000])
    assert command("restore", "--replace", str(damaged)).returncode != 0
    assert status_of(bare, after)[0] == 200 and "Making way" not in bare.said

    done = command("restore", "--replace", str(archive))
    assert done.returncode == 0, done.stderr
    wait_for(bare, before, 200)
    assert status_of(bare, after)[0] == 401
    assert "Making way for a restore" in bare.said
    assert command("key", "list").stdout.count("before") == 1


def ask(platform: Platform, model: str, text: str, lines: list[str]) -> int:
    """A streamed answer to its end, its lines into `lines` as they come; the status."""
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=120)
    question = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 30, "stream": True}
    headers = {"Authorization": f"Bearer {platform.key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(question), headers)
    response = connection.getresponse()
    lines.extend(line for raw in response if (line := raw.decode().strip()))
    return response.status


def test_open_streams_end_and_the_model_answers_again(
    installed_home: Path, scripted: ScriptedServer, tmp_path: Path
) -> None:
    patient = {"TRAMONTANE_HTTP__DRAIN_S": "120"}
    question = "held:20 until the restore"
    with serving(installed_home, **patient) as platform, ThreadPoolExecutor(1) as pool:
        archive = tmp_path / "then.tar"
        assert run(platform.home, "backup", str(archive)).returncode == 0
        process = platform.process.pid
        lines: list[str] = []
        reading = pool.submit(ask, platform, MODEL, question, lines)
        wait_until(lambda: lines)
        restoring = subprocess.Popen(
            [COMMAND, "restore", "--replace", str(archive)],
            env={**os.environ, **patient, "TRAMONTANE_HOME": str(platform.home)},
        )
        # As long as the stream is open, new questions are sent away and the restore waits.
        wait_until(lambda: status_of(platform, platform.key) == (503, "draining"), lambda: platform.said)
        assert not reading.done() and restoring.poll() is None
        scripted.released.add(question)
        seen: set[tuple[int, str]] = set()

        def restored() -> bool:
            seen.add(status_of(platform, platform.key))
            return restoring.poll() is not None

        wait_until(restored, lambda: platform.said, READY_S)
        assert reading.result(PATIENCE_S) == 200 and lines[-1] == "data: [DONE]"
        assert restoring.returncode == 0
        assert seen <= {(200, ""), (503, "draining"), (503, "restoring")}
        wait_for(platform, platform.key, 200, "/readyz")
        assert platform.process.pid == process and platform.process.poll() is None
        lines.clear()
        assert ask(platform, CHAT, "What is the capital of France?", lines) == 200 and lines[-1] == "data: [DONE]"
        assert run(platform.home, "usage").returncode == 0
