"""What a person types at the prompt arrives, and Ctrl-C there ends the program without another key."""

import os
import pty
import signal
import subprocess
import sys

import pytest

PROGRAM = "import asyncio; from tramontane.entrypoints.cli.talk import _line; print(repr(asyncio.run(_line())))"
SOON_S = 60


def _at_a_terminal() -> None:
    """The terminal becomes the session's own; and whoever runs the tests in the background has Ctrl-C ignored in them."""
    os.close(os.open(os.ttyname(0), os.O_RDWR))
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("typed", "status", "said"),
    [(b"hi there\n", 0, "'hi there'"), (b"/quit\n", 0, "None"), (b"\x04", 0, "None"), (b"\x03", -2, "")],
    ids=["a line", "quit", "end of input", "Ctrl-C"],
)
def test_a_line_at_the_prompt(typed: bytes, status: int, said: str) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        preexec_fn=_at_a_terminal,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        try:
            assert child.stdout.read(2) == b"> "
            os.write(ours, typed)
            assert child.wait(SOON_S) == status
            assert child.stdout.read().decode().strip() == said
        finally:
            child.kill()
            os.close(ours)
            os.close(theirs)


def test_lines_of_a_pipe() -> None:
    program = PROGRAM.replace("print(", "print(1, asyncio.run(_line()), ")
    done = subprocess.run([sys.executable, "-c", program], input="a\nb\n", capture_output=True, text=True, check=True)
    assert done.stdout == "> > 1 a 'b'\n"
