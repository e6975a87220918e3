"""What a password may be, and that checking one takes the same work whether anybody has it."""

import argon2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.accounts import PASSWORD, quick_passwords

from tramontane.foundation.errors import InvalidFields, Overloaded
from tramontane.records.access.passwords import AT_ONCE, MAX_WAITING, Passwords, check_password


@pytest.mark.parametrize(
    "password",
    [
        "", " ", "short", "elevenchars", "aaaaaaaaaaaaaaaa", "abababababab", "            ", "123456789012",
        "Password1234", "PASSWORD!!!!!", "motdepasse2026", "qwertyuiop12", "ada@example.org", "Ada@Example.org",
        "ada-lovelace1", "x" * 257, "12345678901234567",
    ],
)  # fmt: skip
def test_what_others_would_try_is_refused_with_a_cure(password: str) -> None:
    with pytest.raises(InvalidFields) as refusal:
        check_password(password, email="ada@example.org", name="Ada Lovelace")
    assert refusal.value.param == "password"
    assert "words" in refusal.value.message
    assert not password or len(password) < 5 or password not in refusal.value.message


@pytest.mark.parametrize(
    "password", [PASSWORD, "Vent du nord 7", "пароль из слов", "x9#Kq2!mVb4z", "ada likes sailing"]
)
def test_several_words_or_enough_noise_will_do(password: str) -> None:
    check_password(password, email="ada@example.org", name="Ada")


@given(st.text(max_size=300))
def test_any_text_is_judged(password: str) -> None:
    try:
        check_password(password, email="ada@example.org", name="Ada")
    except InvalidFields:
        return
    assert 12 <= len(password) <= 256 and len(set(password)) >= 5


async def test_a_password_matches_itself_however_it_was_typed() -> None:
    passwords = quick_passwords()
    hashed = await passwords.hash("été comme hiver")
    assert hashed.startswith("$argon2id$") and "hiver" not in hashed
    assert await passwords.matches(hashed, "e\u0301te\u0301 comme hiver")
    assert not await passwords.matches(hashed, "ete comme hiver")
    assert hashed != await passwords.hash("été comme hiver")


async def test_nobodys_password_costs_the_same_work_and_never_matches() -> None:
    passwords = quick_passwords()
    assert not await passwords.matches(None, PASSWORD)
    assert not await passwords.matches("not a hash", PASSWORD)
    nobody = argon2.extract_parameters(passwords._nobodys)
    real = argon2.extract_parameters(await passwords.hash(PASSWORD))
    assert nobody == real


async def test_a_hash_under_older_parameters_is_told() -> None:
    hashed = await quick_passwords().hash(PASSWORD)
    today = Passwords()
    assert today.outdated(hashed)
    newer = await today.hash(PASSWORD)
    assert not today.outdated(newer)
    assert "$m=65536,t=3,p=4$" in newer
    assert await today.matches(hashed, PASSWORD)


async def test_more_than_the_machine_can_bear_wait_or_are_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = quick_passwords()
    passwords._lane._inside = AT_ONCE + MAX_WAITING
    with pytest.raises(Overloaded) as refusal:
        await passwords.matches(None, PASSWORD)
    assert refusal.value.code == "overloaded" and "sign in" in refusal.value.message
