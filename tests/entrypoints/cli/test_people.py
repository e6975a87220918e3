"""`tramontane people` on a real installation: links that work, alone on standard output, and nobody a stranger."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.fakes.accounts import PASSWORD, quick_accounts

from tramontane.app.installation import Installation
from tramontane.entrypoints.cli import command_line
from tramontane.foundation.clock import SystemClock
from tramontane.records.access.accounts import Wish

LINK = re.compile(r"(http://127\.0\.0\.1:8400|https://ai\.example\.org)/join#([\w-]{43})\n")


@pytest.fixture
def run(home: Path) -> object:
    def call(*arguments: str, **variables: str) -> Result:
        return CliRunner().invoke(command_line, arguments, obj=Installation(), env=variables)

    return call


async def join(secret: str, **fields: str) -> str:
    """Take up a link as the page does; the person's role and name."""
    with Installation().books() as books:
        accounts = quick_accounts(books.database, SystemClock(), books.scope.organisation_id)
        token = await accounts.join(Wish(secret=secret, **fields), None, "")
        found = await accounts.sessions.signed_in(token)
        await accounts.close()
        return f"{found.role} {found.person.name}"


async def test_people_are_invited_listed_and_given_a_new_password(run) -> None:
    made = run("people", "invite", "--email", "Ada@Example.org", "--role", "builder")
    link = LINK.fullmatch(made.stdout)
    assert made.exit_code == 0 and link is not None, made.output
    assert "ada@example.org" in run("people", "list").stdout
    assert await join(link[2], name="Ada", password=PASSWORD) == "builder Ada"
    listed = run("people", "list").stdout
    assert "Ada" in listed and "builder" in listed and "invited" not in listed
    reset = LINK.fullmatch(run("people", "reset", "ADA@example.org").stdout)
    assert reset is not None
    assert await join(reset[2], password="another four words") == "builder Ada"


def test_links_lead_where_browsers_reach_the_server(run) -> None:
    made = run("people", "invite", TRAMONTANE_HTTP__PUBLIC_URL="https://ai.example.org")
    assert LINK.fullmatch(made.stdout) and made.stdout.startswith("https://ai.example.org/join#")
    refused = run("people", "invite", TRAMONTANE_HTTP__PUBLIC_URL="ai.example.org/x")
    assert refused.exit_code == 1 and "public_url" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("reset", "nobody@example.org"), "nobody@example.org"),
        (("invite", "--email", "no address"), "email"),
        (("invite", "--workspace", "nowhere"), "nowhere"),
        (("list", "--workspace", "nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(run, arguments: tuple[str, ...], named: str) -> None:
    refused = run("people", *arguments)
    assert refused.exit_code == 1 and named in refused.stderr and "Traceback" not in refused.stderr
    assert refused.stdout == ""
    assert run("people", "invite", "--role", "king").exit_code == 2
