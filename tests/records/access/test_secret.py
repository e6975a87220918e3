"""What is and what is not a key's secret."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from tramontane.records.access.secret import new_secret, read_secret

ID = st.text("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=12, max_size=12)
BODY = st.text("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_", min_size=43, max_size=43)


def test_a_new_secret_reads_as_itself_and_is_never_the_same() -> None:
    made = [new_secret() for _ in range(200)]
    assert all(read_secret(secret) == presented for presented, secret in made)
    assert len({secret for _, secret in made}) == 200
    assert len({presented.key_id for presented, _ in made}) == 200


def test_what_is_kept_is_not_the_secret() -> None:
    presented, secret = new_secret()
    assert presented.sha256 == hashlib.sha256(secret.encode()).digest()
    assert secret.rsplit("_", 1)[1].encode() not in presented.sha256


@given(ID, BODY)
def test_every_well_formed_secret_is_read(key_id: str, body: str) -> None:
    presented = read_secret(f"tm_{key_id}_{body}")
    assert presented is not None
    assert presented.key_id == key_id


@given(st.text(max_size=120))
def test_no_other_text_is(text: str) -> None:
    assert read_secret(text) is None


@given(ID, BODY, st.integers(0, 58), st.characters(exclude_characters="_-", exclude_categories=("L", "Nd")))
def test_one_foreign_character_spoils_it(key_id: str, body: str, position: int, foreign: str) -> None:
    secret = f"tm_{key_id}_{body}"
    assert read_secret(secret[:position] + foreign + secret[position + 1 :]) is None
    assert read_secret(secret + foreign) is None
    assert read_secret(foreign + secret) is None


@given(ID, BODY)
def test_letters_that_only_look_alike_are_foreign(key_id: str, body: str) -> None:
    assert read_secret(f"tm_{key_id}_{'а' + body[1:]}") is None  # noqa: RUF001 - the Cyrillic letter is the point
    assert read_secret(f"TM_{key_id}_{body}") is None
    assert read_secret(f"tm_{key_id}_{body}\n") is None
