"""What files need that databases do for themselves: errors of our tree, and a rename that survives a power cut."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tramontane.foundation.errors import StorageFull
from tramontane.foundation.store.errors import StorageFailed

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def translated() -> Iterator[None]:
    """Raises StorageFull or StorageFailed for what the disk refuses; a missing file passes as it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull("no room left for files; free some space, nothing was stored") from error
        raise StorageFailed(
            f"the file store cannot be used at the moment: {error.strerror}", retry_after_s=5
        ) from error


def flush(path: Path) -> None:
    """Make a file's content, or a rename in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
