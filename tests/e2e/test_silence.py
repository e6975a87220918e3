"""Nothing phones home: every connection and every name asked for is written down while the server starts and answers."""

import os
import subprocess
import sys
from pathlib import Path

import openai
from tests.e2e.conftest import CHAT, EMBEDDING
from tests.e2e.platform import serving

WITNESS = """
import os, sys

def witness(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname"):
        place = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
        descriptor = os.open(os.environ["WITNESS_FILE"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, (event + " " + repr(place) + "\\n").encode())
        os.close(descriptor)

sys.addaudithook(witness)
"""


def foreign(lines: list[str]) -> list[str]:
    return [line for line in lines if not any(own in line for own in ("127.0.0.1", "localhost", "::1", "'/"))]


def test_the_server_talks_to_nobody(installed_home: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITNESS)
    seen = tmp_path / "seen"
    with serving(installed_home, PYTHONPATH=str(tmp_path), WITNESS_FILE=str(seen)) as platform:
        client = openai.OpenAI(api_key=platform.key, base_url=platform.address + "/openai/v1")
        client.chat.completions.create(model=CHAT, messages=[{"role": "user", "content": "Hello."}], max_tokens=4)
        client.embeddings.create(model=EMBEDDING, input="hello")
        assert "isolated from networks: True" in platform.said
    lines = seen.read_text().splitlines() if seen.exists() else []
    assert foreign(lines) == []


def test_the_witness_sees_a_connection(tmp_path: Path) -> None:
    """The test above would pass with a blind witness."""
    (tmp_path / "sitecustomize.py").write_text(WITNESS)
    seen = tmp_path / "seen"
    # The event alone, without a packet: no other machine is ever a target of a test.
    code = "import sys; sys.audit('socket.connect', None, ('192.0.2.1', 9))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "WITNESS_FILE": str(seen)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert foreign(seen.read_text().splitlines())


def test_the_engines_library_asks_nobody_when_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITNESS)
    seen = tmp_path / "seen"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "WITNESS_FILE": str(seen)}
    code = "import tramontane.adapters.servers.openvino; import openvino as ov; ov.Core().get_property('CPU', 'FULL_DEVICE_NAME')"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert not seen.exists()
