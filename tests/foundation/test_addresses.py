"""What people see of an address: enough to know where it leads, and nothing that opens it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tramontane.foundation.addresses import Address
from tramontane.foundation.settings import Settings


@pytest.mark.parametrize(
    ("written", "masked"),
    [
        ("", ""),
        ("https://hub.example", "https://hub.example"),
        ("https://hf_token@hub.example/a", "https://***@hub.example/a"),
        ("https://hf_token:x@hub.example/a", "https://***@hub.example/a"),
        ("s3://id:secret@bucket/x", "s3://***@bucket/x"),
        ("postgresql://me@db.example/x", "postgresql://me@db.example/x"),
        ("postgresql://me:secret@db.example/x", "postgresql://me:***@db.example/x"),
        ("postgresql+psycopg://me:sec/r@t@db.example/x", "postgresql+psycopg://me:***@db.example/x"),
        ("postgresql://me:secr?t@db.example/x", "postgresql://***"),
        ("postgresql://db.example/x?user=me&password=s@cret", "postgresql://***"),
        ("postgresql:///x?user=me&password=secret", "postgresql:///x?user=***&password=***"),
        ("sqlite:////srv/a@b:c/x.db", "sqlite:////srv/a@b:c/x.db"),
        ("/srv/blobs", "/srv/blobs"),
        ("host=db password=secret", "***"),
        ("postgresql:me:secret@db", "***"),
    ],
)
def test_an_address_is_shown_without_what_opens_it(written: str, masked: str) -> None:
    assert Address(written).masked == masked
    assert repr(Address(written)) == repr(masked)
    assert Address(written) == written


USERS = st.text(st.characters(exclude_characters="<>/"))


@given(
    st.text(st.characters(exclude_characters="&"), min_size=1),
    USERS,
    st.sampled_from(["postgresql", "https", "s3", "redis"]),
)
def test_no_password_comes_through(secret: str, user: str, scheme: str) -> None:
    for address in (f"{scheme}://{user}:<{secret}>@host/place", f"{scheme}://host/place?password=<{secret}>"):
        shown = Address(address).masked
        assert "<" not in shown and ">" not in shown


def test_settings_that_are_addresses_stay_so_from_every_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAMONTANE_BLOB_URL", "s3://id:secret@bucket")
    monkeypatch.setenv("TRAMONTANE_HUB__ENDPOINT", "https://secret@hub.example")
    settings = Settings(database_url="postgresql://me:secret@db/x")  # type: ignore[arg-type]
    assert settings.database_url == "postgresql://me:secret@db/x"
    assert "secret" not in repr(settings)
    assert isinstance(settings.blob_url, Address) and isinstance(settings.hub.endpoint, Address)


def test_every_setting_named_for_an_address_is_one() -> None:
    def fields(model: type[BaseModel]) -> list[tuple[str, type]]:
        own = [(name, field.annotation) for name, field in model.model_fields.items()]
        inner = [kind for _, kind in own if isinstance(kind, type) and issubclass(kind, BaseModel)]
        return [*own, *(pair for kind in inner for pair in fields(kind))]  # type: ignore[misc]

    # Browsers are sent to the public address, so it holds no secret.
    named = {name: kind for name, kind in fields(Settings) if name.endswith(("url", "endpoint", "address"))}
    assert named.pop("public_url", str) is str
    assert named == dict.fromkeys(("database_url", "blob_url", "endpoint"), Address)
