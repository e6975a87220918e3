"""Accounts over a real database with passwords that cost nothing to hash, and people to sign in with."""

import argon2

from tramontane.foundation.clock import Clock
from tramontane.foundation.settings import SessionSettings
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.scope import Scope
from tramontane.records.access import Accounts
from tramontane.records.access.accounts import Wish
from tramontane.records.access.nouns import Role
from tramontane.records.access.passwords import Passwords

PASSWORD = "four plain words here"


def quick_passwords() -> Passwords:
    """The real algorithm with the smallest cost."""
    return Passwords(argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def quick_accounts(database: Database, clock: Clock, organisation_id: str) -> Accounts:
    return Accounts(database, clock, organisation_id, SessionSettings(), passwords=quick_passwords())


async def signed_in(
    accounts: Accounts, scope: Scope, name: str, role: Role = "member", *, password: str = PASSWORD
) -> str:
    """Somebody new in the workspace, invited and joined as people are; gives their session's token."""
    made = accounts.invitations.invite(scope, role)
    wish = Wish(secret=made.secret, name=name, email=f"{name.lower()}@example.org", password=password)
    return await accounts.join(wish, None, "a test's browser")
