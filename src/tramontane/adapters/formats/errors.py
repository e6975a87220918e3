"""How a file can be refused. The message names the file, what was expected, what was found, and the cure."""

from tramontane.foundation.errors import BadRequest


class FileRefused(BadRequest):
    """A file is truncated, foreign, malformed or could run code: fetch it again or choose another."""

    code = "model_file_refused"
