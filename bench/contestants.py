"""Starts and stops the servers that are compared, each as its users would start it, and waits until it answers.

Knows processes and ports; knows no workload. Every contestant gets the same GGUF file.
"""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.client import ask
from bench.environment import ROOT, TOOLS, WORK
from bench.genai_engine import MODEL_VARIABLE, PYTHON_VARIABLE, WORDS_VARIABLE
from bench.load import Target, body, user

CHAT = "/openai/v1/chat/completions"
START_TIMEOUT_S = 240


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(command: list[str], name: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command with its output in a log file; end it, and what it started, on the way out."""
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / f"{name}.log").open("wb") as log:
        child = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **environment}, cwd=ROOT
        )  # fmt: skip
        try:
            yield child
        finally:
            family = [child, *psutil.Process(child.pid).children(recursive=True)] if child.poll() is None else []
            child.terminate()
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
            for member in family[1:]:
                if member.is_running():
                    member.kill()


def wait_for(target: Target, child: subprocess.Popen[bytes]) -> float:
    """Seconds until the target answers a first short request. Raises RuntimeError when it never does."""
    began = time.perf_counter()
    while time.perf_counter() - began < START_TIMEOUT_S:
        if child.poll() is not None:
            raise RuntimeError(f"{target.name} ended with status {child.returncode}; see bench/.work/{target.name}.log")
        try:
            answer = asyncio.run(ask(target.port, target.path, body(target, [user("Hello.")], 1), target.key))
        except OSError:
            time.sleep(0.1)
            continue
        if answer.error is None:
            return time.perf_counter() - began
        time.sleep(0.25)
    raise RuntimeError(f"{target.name} did not answer within {START_TIMEOUT_S} s; see bench/.work/{target.name}.log")


@contextmanager
def tramontane(name: str, home: Path, model: str, **environment: str) -> Iterator[list[Target]]:
    """The platform with two workspaces, `quiet` and `loud`, each with a key of its own: targets [quiet, loud]."""
    serve = [str(Path(sys.executable).with_name("tramontane")), "serve"]
    with _gateway(serve, name, home, model, environment) as targets:
        yield targets


@contextmanager
def genai_front(home: Path, model: str, model_file: Path) -> Iterator[Target]:
    """The same gateway over OpenVINO GenAI's pipeline, which reads `model_file` itself.

    Only the words of `model` are taken from `home`, so both may run at once: this gateway has a home of its own, where
    the model is an entry called `genai`.
    """
    words = home / "models" / model / "prepared"
    environment = {
        PYTHON_VARIABLE: str(TOOLS.python()),
        MODEL_VARIABLE: str(model_file.resolve()),
        WORDS_VARIABLE: str(words.resolve()),
    }
    own_home = WORK / "genai-home"
    if not own_home.exists():
        add_upstream({"TRAMONTANE_HOME": str(own_home)}, "genai", "http://127.0.0.1:1/v1#never-asked")
    serve = [sys.executable, "-m", "bench.genai_front"]
    with _gateway(serve, "genai", own_home, "genai", environment) as targets:
        yield targets[1]


@contextmanager
def _gateway(
    serve: list[str], name: str, home: Path, model: str, environment: dict[str, str]
) -> Iterator[list[Target]]:
    port = free_port()
    settings = {
        "TRAMONTANE_HOME": str(home),
        "TRAMONTANE_PORT": str(port),
        "TRAMONTANE_DEFAULT_MODEL": model,
        **environment,
    }
    keys = [create_key(settings, workspace) for workspace in ("quiet", "loud")]
    with process(serve, name, **settings) as child:
        targets = [Target(name, port, CHAT, model, key) for key in keys]
        wait_for(targets[0], child)
        ids = tuple(member.pid for member in psutil.Process(child.pid).children(recursive=True))
        yield [Target(name, port, CHAT, model, key, (child.pid, *ids)) for key in keys]


def create_key(settings: dict[str, str], workspace: str) -> str:
    """A fresh key in a workspace of that name, through the command a person would use."""
    name = f"bench-{workspace}-{time.time_ns()}"
    return tramontane_command(settings, "key", "create", name, "--workspace", workspace, "--create-workspace")


def add_upstream(settings: dict[str, str], name: str, place: str) -> None:
    """An entry for another server's model, written as `models add` wants it."""
    tramontane_command(settings, "models", "add", place, "--name", name, "--licence", "apache-2.0")


def tramontane_command(settings: dict[str, str], *words: str) -> str:
    """What a `tramontane` command prints. Raises RuntimeError with its complaint."""
    command = [str(Path(sys.executable).with_name("tramontane")), *words]
    result = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"tramontane {' '.join(words)}: {result.stderr}")
    return result.stdout.strip()


@contextmanager
def llama_server(model_file: Path, slots: int) -> Iterator[Target]:
    """llama.cpp's server on the same file."""
    port = free_port()
    target = Target(f"llama-server-{slots}", port, "/v1/chat/completions", "any")
    command = [sys.executable, str(ROOT / "bench" / "llama_server.py"), str(model_file), str(port), str(slots)]
    with process(command, target.name) as child:
        wait_for(target, child)
        yield target
