"""A backup and a restore while people are served: what runs ends well, and the same server goes on with the old data."""

import http.client
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import CHAT
from tests.e2e.platform import COMMAND, Platform, run, serving, start


def status_of(platform: Platform, key: str, path: str = "/v1/models") -> tuple[int, str]:
    """Status, and the error's code where there is one."""
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=60)
    connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, "" if response.status == 200 else str(json.loads(body).get("code"))


def wait_for(platform: Platform, key: str, status: int) -> None:
    end = time.monotonic() + 90
    while (found := status_of(platform, key))[0] != status:
        assert found[0] in (200, 503), found
        assert time.monotonic() < end, platform.said
        time.sleep(0.05)


@pytest.fixture
def bare(address: str, tmp_path: Path) -> Iterator[Platform]:
    """A server without models, on either database; there is nowhere to fetch them from."""
    variables = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "TRAMONTANE_DATABASE_URL": address}
    home = tmp_path / "home"
    platform = start(home, **variables)
    end = time.monotonic() + 90
    while "listens at" not in platform.said:
        assert platform.process.poll() is None and time.monotonic() < end, platform.said
        time.sleep(0.1)
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


def test_open_streams_end_and_the_model_answers_again(installed_home: Path, tmp_path: Path) -> None:
    with serving(installed_home) as platform:
        archive = tmp_path / "then.tar"
        assert run(platform.home, "backup", str(archive)).returncode == 0
        process = platform.process.pid
        lines: list[str] = []
        under_way = threading.Event()

        def stream() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=120)
            question = {
                "model": CHAT, "messages": [{"role": "user", "content": "Count."}], "max_tokens": 150, "stream": True,
                "ignore_eos": True, "temperature": 0,
            }  # fmt: skip
            headers = {"Authorization": f"Bearer {platform.key}", "Content-Type": "application/json"}
            connection.request("POST", "/v1/chat/completions", json.dumps(question), headers)
            for raw in connection.getresponse():
                lines.append(raw.decode().strip())
                under_way.set()

        reader = threading.Thread(target=stream)
        reader.start()
        assert under_way.wait(60)
        restoring = subprocess.Popen(
            [COMMAND, "restore", "--replace", str(archive)],
            env={**os.environ, "TRAMONTANE_HOME": str(platform.home)},
        )
        seen: set[tuple[int, str]] = set()
        while restoring.poll() is None:
            seen.add(status_of(platform, platform.key))
            time.sleep(0.02)
        reader.join(120)
        assert restoring.returncode == 0
        assert [line for line in lines if line][-1] == "data: [DONE]"
        assert seen <= {(200, ""), (503, "draining"), (503, "restoring")} and len(seen) > 1
        wait_for(platform, platform.key, 200)
        assert platform.process.pid == process and platform.process.poll() is None
        while status_of(platform, platform.key, "/readyz")[0] != 200:
            assert platform.process.poll() is None, platform.said
            time.sleep(0.2)
        answer = run(platform.home, "usage")
        assert answer.returncode == 0
