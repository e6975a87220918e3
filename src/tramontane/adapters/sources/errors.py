"""What can go wrong while weights travel. Each message names the file, what was expected, what was found, and the cure."""

from tramontane.adapters.formats.errors import FileRefused
from tramontane.foundation.errors import Conflict, TramontaneError


class SourceFailed(TramontaneError):
    """The source cannot be reached or does not have what was asked for: check its address, name and access."""

    code = "source_failed"


class ChecksumMismatch(FileRefused):
    """The bytes are not the ones promised: fetch the file again; if it stays so, do not trust the source."""

    code = "checksum_mismatch"


class PullCancelled(Conflict):
    """Somebody asked to stop; what has arrived stays and the next pull goes on from there."""

    code = "pull_cancelled"
