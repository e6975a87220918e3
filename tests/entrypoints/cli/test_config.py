"""`tramontane config show` tells what is in force and no secret."""

import pytest
from click.testing import CliRunner

from tramontane.app.installation import Installation
from tramontane.entrypoints.cli import command_line


@pytest.mark.parametrize(
    ("variable", "value", "seen"),
    [
        ("TRAMONTANE_DATABASE_URL", "postgresql://me:secret@127.0.0.1/db", "me:***@127.0.0.1/db"),
        ("TRAMONTANE_DATABASE_URL", "postgresql://127.0.0.1/db?password=secret", "127.0.0.1/db?password=***"),
        ("TRAMONTANE_BLOB_URL", "s3://id:secret@bucket/blobs", "***@bucket/blobs"),
        ("TRAMONTANE_HUB__ENDPOINT", "https://secret@hub.example", "***@hub.example"),
    ],
)
def test_what_opens_an_address_is_hidden(home: object, variable: str, value: str, seen: str) -> None:
    shown = CliRunner().invoke(command_line, ["config", "show"], obj=Installation(), env={variable: value}).stdout
    assert "secret" not in shown
    assert seen in shown
