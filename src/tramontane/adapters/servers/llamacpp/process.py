"""The process that runs llama.cpp's own server on the loopback interface, with a key nobody else knows.

Knows xllamacpp and exit statuses; knows no request. The starter runs it as a module with the number of its socket and
its options; it ends when that socket says so (status 0) or closes (status 1).
"""

import logging
import os
import secrets
import socket
import sys
from typing import Any

import msgspec
import setproctitle

from tramontane.adapters.servers.llamacpp.options import STOP, Answer, Listening, LlamaOptions, LoadFailed
from tramontane.adapters.servers.processes.isolation import restrict

GATEWAY_GONE = 1
LOAD_FAILED = 3
PING_S = 10
QUIET = 2  # llama.cpp's level for warnings and errors; more would write prompts to the log

log = logging.getLogger(__name__)


def main(descriptor: int, argument: str) -> int:
    """Serve one model; returns the exit status."""
    options = msgspec.json.decode(argument, type=LlamaOptions)
    setproctitle.setproctitle(f"tramontane: engine {options.model}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    restrict()
    connection = socket.socket(fileno=descriptor)
    connection.setblocking(True)
    key = secrets.token_urlsafe(32)
    try:
        server = _serve(options, key)
    except Exception as error:
        log.exception("%s could not be loaded", options.model)
        _say(connection, LoadFailed(f"llama.cpp could not load {options.model}: {error}"))
        return LOAD_FAILED
    _say(connection, Listening(server.listening_address, key))
    return 0 if connection.recv(len(STOP)) == STOP else GATEWAY_GONE


def _say(connection: socket.socket, answer: Answer) -> None:
    connection.sendall(msgspec.json.encode(answer) + b"\n")


def _serve(options: LlamaOptions, key: str) -> Any:
    import xllamacpp  # noqa: PLC0415  # the wheel is optional; where it is missing the error says so

    params = xllamacpp.CommonParams()
    params.model.path = options.weights
    params.model_alias = {options.model}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.n_parallel = options.slots
    params.n_ctx = options.context_tokens * options.slots
    params.embedding = options.embedding
    params.offline = True
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = QUIET
    params.sse_ping_interval = PING_S
    # Slots and their caches know no workspaces: nothing of one request may be reused, or timed, by another.
    params.cache_prompt = False
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    params.ctx_shift = False
    if options.threads:
        params.cpuparams.n_threads = options.threads
        params.cpuparams_batch.n_threads = options.threads
    return xllamacpp.Server(params)


if __name__ == "__main__":
    status = main(int(sys.argv[1]), sys.argv[2])
    logging.shutdown()
    # llama.cpp's threads would hold up an ordinary exit; the process keeps nothing that needs saving.
    os._exit(status)
