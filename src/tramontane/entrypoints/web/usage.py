"""`/web/usage`: what a workspace has spent, by day, model, key and person.

Administrators see it all; builders the workspace's sums by day, model and key, but of people only themselves; members what
they asked for themselves.

Days are those of UTC, both ends included. Receipts of the last second may still be on their way.
"""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from fastapi import APIRouter, Request
from starlette.responses import Response

from tramontane.entrypoints.api.answers import json_response
from tramontane.entrypoints.api.policy import needs_person
from tramontane.entrypoints.web.keys import names_of
from tramontane.entrypoints.web.ports import WebDoors
from tramontane.foundation.clock import Clock
from tramontane.foundation.errors import FieldProblem, InvalidFields
from tramontane.foundation.store.scope import Scope
from tramontane.records.access import Keys
from tramontane.records.access.nouns import KeyRecord, SignedIn
from tramontane.records.ledger import DaySums, Usage
from tramontane.records.ledger.nouns import Dimension

WebDimension = Literal["day", "model", "key", "person"]
EPOCH = datetime.date(1970, 1, 1)
USUAL_DAYS = 30
LONGEST_DAYS = 800
_ASKED: dict[WebDimension, Dimension] = {"day": "day", "model": "model", "key": "key", "person": "principal"}


@dataclass(frozen=True, slots=True)
class Question:
    """Which days, grouped how."""

    since: datetime.date
    until: datetime.date
    by: tuple[WebDimension, ...]

    @property
    def days(self) -> range:
        """The days as numbers since the epoch."""
        return range((self.since - EPOCH).days, (self.until - EPOCH).days + 1)


def question(request: Request, clock: Clock) -> Question:
    """What the address asks for. Raises InvalidFields naming the part that cannot be."""
    words = request.query_params
    today = datetime.datetime.fromtimestamp(clock.now_ns() // 1_000_000_000, datetime.UTC).date()
    until = _day("to", words["to"]) if "to" in words else today
    since = _day("from", words["from"]) if "from" in words else until - datetime.timedelta(days=USUAL_DAYS - 1)
    if since > until:
        raise _wrong("from", "from must not lie after to")
    if (until - since).days >= LONGEST_DAYS:
        raise _wrong("from", f"from and to may be {LONGEST_DAYS} days apart at most")
    by = tuple(dict.fromkeys(part for part in words.get("by", "day").split(",") if part))
    if set(by) - set(_ASKED):
        raise _wrong("by", f"by takes some of {', '.join(get_args(WebDimension))}, separated by commas")
    return Question(since, until, by)  # type: ignore[arg-type]  # checked just above


def _day(field: str, text: str) -> datetime.date:
    try:
        found = datetime.date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        found = None
    if found is None or not 1970 <= found.year <= 2199:
        raise _wrong(field, f"{field} takes a day such as 2026-01-31")
    return found


def _wrong(field: str, message: str) -> InvalidFields:
    return InvalidFields([FieldProblem(("query", field), message)])


class Names:
    """Whose a receipt's principal is: a person's own, or a key's, and who made that key."""

    def __init__(self, keys: Iterable[KeyRecord], people: dict[str, str]) -> None:
        self.keys = {key.key_id: key for key in keys}
        self.people = people

    def person_of(self, principal_id: str | None) -> str | None:
        """The person behind a principal; None for keys from the terminal and for the operator."""
        key = self.keys.get(principal_id or "")
        if key is not None:
            return key.created_by
        return principal_id if principal_id in self.people or (principal_id or "").startswith("usr_") else None

    def key_name(self, key_id: str | None) -> str | None:
        key = self.keys.get(key_id or "")
        return key.name if key else None


def principals_of(signed_in: SignedIn, names: Names, by: tuple[WebDimension, ...]) -> frozenset[str] | None:
    """Whose receipts the person may see in an answer grouped so: None for everybody's of the workspace."""
    if signed_in.role == "administrator" or (signed_in.role == "builder" and "person" not in by):
        return None
    person_id = signed_in.person.person_id
    own = {key.key_id for key in names.keys.values() if key.created_by == person_id}
    return frozenset({person_id} | own)


def spent(row: Usage) -> dict[str, int]:
    return {
        "requests": row.requests,
        "prompt_tokens": row.prompt_tokens,
        "cached_tokens": row.cached_tokens,
        "generated_tokens": row.generated_tokens,
        "queued_ms": row.queued_ns // 1_000_000,
        "compute_ms": (row.prefill_ns + row.decode_ns) // 1_000_000,
    }


def group_of(row: Usage, by: tuple[WebDimension, ...], names: Names) -> dict[str, Any]:
    """What a row is about, in the words of the question."""
    group: dict[str, Any] = {}
    for part in by:
        if part == "day":
            group["day"] = (EPOCH + datetime.timedelta(days=row.day or 0)).isoformat()
        elif part == "model":
            group["model"] = row.model or ""
        elif part == "key":
            group |= {"key": row.key, "key_name": names.key_name(row.key)}
        else:
            person = names.person_of(row.principal)
            group |= {"person": person, "person_name": names.people.get(person or "")}
    return group


def joined(rows: Iterable[Usage], by: tuple[WebDimension, ...], names: Names) -> list[dict[str, Any]]:
    """Rows in the question's words, those that mean the same (keys of one person) added up."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        group, numbers = group_of(row, by, names), spent(row)
        known = found.setdefault(tuple(group.values()), group | dict.fromkeys(numbers, 0))
        for name, number in numbers.items():
            known[name] += number
    return list(found.values())


def add_routes(routes: APIRouter, web: WebDoors) -> None:
    keys, sums = Keys(web.database, web.clock), DaySums(web.database)

    def answered(signed_in: SignedIn, asked: Question) -> dict[str, Any]:
        scope = Scope.of(signed_in.caller)
        names = Names(keys.list(scope), names_of(web, scope))
        by = [_ASKED[part] for part in asked.by]
        found = sums.usage(scope, asked.days, by, principals_of(signed_in, names, asked.by))
        rows = joined(found, asked.by, names)
        total = {name: sum(row[name] for row in rows) for name in spent(Usage())}
        return {"rows": rows, "total": total, "from": asked.since.isoformat(), "to": asked.until.isoformat()}

    @routes.get("/web/usage", include_in_schema=False)
    @needs_person
    async def usage(request: Request) -> Response:
        asked = question(request, web.clock)
        return json_response(await web.database.run(answered, request.state.signed_in, asked))
