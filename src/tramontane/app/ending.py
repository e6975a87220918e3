"""The signals that tell a running loop to end. Knows what the process does about them otherwise, and gives it back."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def told_to_end(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` in the running loop at each Ctrl-C and SIGTERM.

    What was done about them before is done again after: a loop forgets it, and whoever serves anew after a restore may
    be fetching models between two loops, which must end with us.
    """
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        loop.add_signal_handler(number, tell)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
