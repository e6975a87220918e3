"""What a licence asks for before its model may be fetched or served, and whether it has been given.

Pure: acceptances come in as a list. The wording is identified by a hash, so a changed licence has to be accepted anew.
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from tramontane.records.catalog.errors import LicenceNotAccepted
from tramontane.records.catalog.nouns import EVERYONE, Acceptance, Licence, ModelEntry

UNSTATED = "unstated"
OWN = "own"
"""Identifiers in catalogue.toml: terms nobody has named yet, and a model of the operator's own."""


def kind_text(licence: Licence) -> str:
    """Its class for people: open, research, commercial agreement."""
    return licence.kind.replace("_", " ")


def licence_hash(licence: Licence) -> str:
    """SHA-256 over all that was shown to the person who accepts."""
    return hashlib.sha256(msgspec.json.encode(licence)).hexdigest()


def licence_named(stated: str, licences: Mapping[str, Licence]) -> str:
    """The licence a source's own card names, if it is described and open; else UNSTATED, which somebody must vouch for.

    A card is the publisher's word: it may spare nobody an agreement, so only open licences are taken from it.
    """
    known = licences.get(stated.lower())
    return known.id if known is not None and known.kind == "open" and known.id != OWN else UNSTATED


def acceptance_of(licence: Licence, acceptances: Iterable[Acceptance], organisation_id: str) -> Acceptance | None:
    """Who agreed to this very wording for the organisation, the first of several; None when nobody has."""
    wanted = licence_hash(licence)
    agreed = (
        known
        for known in acceptances
        if known.licence == licence.id
        and known.licence_hash == wanted
        and known.organisation_id in (EVERYONE, organisation_id)
    )
    return min(agreed, key=lambda known: known.accepted_ns, default=None)


def is_accepted(licence: Licence, acceptances: Iterable[Acceptance], organisation_id: str) -> bool:
    """Whether the organisation may use models under this licence now."""
    return not licence.needs_acceptance or acceptance_of(licence, acceptances, organisation_id) is not None


def require_accepted(
    entry: ModelEntry, licence: Licence, acceptances: Iterable[Acceptance], organisation_id: str
) -> None:
    """Raises LicenceNotAccepted naming the licence, its text and the command that accepts it."""
    if not is_accepted(licence, acceptances, organisation_id):
        raise LicenceNotAccepted(
            f"{entry.name} comes under {licence.name} ({kind_text(licence)}): {licence.summary} "
            f"Read {licence.url}; an administrator accepts it by adding --accept-licence to the command that fetches the "
            f"model, as in `tramontane models pull {entry.name} --accept-licence`",
            param="model",
        )


def acceptance(licence: Licence, organisation_id: str, accepted_by: str, now_ns: int) -> Acceptance:
    """The record of somebody agreeing to this wording now."""
    return Acceptance(
        organisation_id=organisation_id,
        licence=licence.id,
        licence_hash=licence_hash(licence),
        accepted_by=accepted_by,
        accepted_ns=now_ns,
    )
