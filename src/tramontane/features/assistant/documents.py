"""The canvas: documents beside a conversation, written by a person or a model, every version kept.

A new version names the one it was made from; made from an older one it is refused, so that nobody writes over another.
"""

from typing import Any

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from tramontane.features.assistant import quota, statements, store
from tramontane.features.assistant.nouns import Owner
from tramontane.features.assistant.tables import document, document_version
from tramontane.foundation.errors import Conflict, NotFound
from tramontane.foundation.ids import new_id

NO_DOCUMENT = "there is no document of that id in this conversation"
MOST_VERSIONS = 1000
MOST_CHARACTERS = 20_000_000
"""Of all versions together, since they are read and shown together."""


class NewDocument(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    kind: str
    content: str
    language: str | None = None
    entry_id: str | None = None
    author: str = "model"


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A document without its contents; `version` is the newest one's number, from 1."""

    document_id: str
    conversation_id: str
    entry_id: str | None
    title: str
    kind: str
    language: str | None
    version: int
    created_ns: int
    updated_ns: int


class Version(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    content: str
    author: str
    created_ns: int


_COLUMNS = [document.c[name] for name in Document.__struct_fields__]
_VERSION_COLUMNS = [document_version.c[name] for name in Version.__struct_fields__]


def listed(connection: Connection, owner: Owner, conversation_id: str) -> list[Document]:
    """Raises NotFound."""
    store.one(connection, owner, conversation_id)
    query = select(*_COLUMNS).where(*_of(owner, conversation_id)).order_by(document.c.created_ns)
    return [Document(**row._asdict()) for row in connection.execute(query)]


def add(connection: Connection, owner: Owner, conversation_id: str, new: NewDocument, now_ns: int) -> Document:
    """Raises NotFound for the conversation or the entry."""
    store.one(connection, owner, conversation_id, lock=True)
    if new.entry_id is not None and store.one_entry(connection, owner, conversation_id, new.entry_id) is None:
        raise NotFound("there is no entry of that id in this conversation", param="entry_id")
    made = Document(
        document_id=new_id("doc"), conversation_id=conversation_id, entry_id=new.entry_id, title=new.title,
        kind=new.kind, language=new.language, version=1, created_ns=now_ns, updated_ns=now_ns,
    )  # fmt: skip
    connection.execute(insert(document), {**msgspec.structs.asdict(owner), **msgspec.structs.asdict(made)})
    first = Version(version=1, content=new.content, author=new.author, created_ns=now_ns)
    _add_version(connection, owner, made.document_id, first)
    return made


def one(connection: Connection, owner: Owner, conversation_id: str, document_id: str) -> tuple[Document, list[Version]]:
    """The document with all its versions, the oldest first. Raises NotFound."""
    found = _document(connection, owner, conversation_id, document_id)
    where = (*store.inside(document_version, owner), document_version.c.document_id == document_id)
    query = select(*_VERSION_COLUMNS).where(*where).order_by(document_version.c.version)
    return found, [Version(**row._asdict()) for row in connection.execute(query)]


def add_version(
    connection: Connection, owner: Owner, conversation_id: str, document_id: str, base: int, version: Version
) -> Document:
    """Raises NotFound, or Conflict when `base` is not the newest or there are too many. `version.version` is not read."""
    found = _document(connection, owner, conversation_id, document_id, lock=True)
    if base != found.version:
        message = f"the newest version is {found.version}, yours was made from {base}; read it and make yours from it"
        raise Conflict(message, param="base_version", code="not_the_newest")
    if found.version >= MOST_VERSIONS:
        raise Conflict(f"a document has at most {MOST_VERSIONS} versions; begin a new one", code="document_full")
    if _characters(connection, owner, document_id) + len(version.content) > MOST_CHARACTERS:
        message = f"a document's versions have at most {MOST_CHARACTERS} characters together; begin a new one"
        raise Conflict(message, code="document_full")
    number = found.version + 1
    _add_version(connection, owner, document_id, msgspec.structs.replace(version, version=number))
    return _changed(connection, owner, found, {"version": number, "updated_ns": version.created_ns})


def rename(
    connection: Connection, owner: Owner, conversation_id: str, document_id: str, title: str, now_ns: int
) -> Document:
    """Raises NotFound."""
    found = _document(connection, owner, conversation_id, document_id, lock=True)
    return _changed(connection, owner, found, {"title": title, "updated_ns": now_ns})


def remove(connection: Connection, owner: Owner, conversation_id: str, document_id: str) -> None:
    """Raises NotFound."""
    _document(connection, owner, conversation_id, document_id, lock=True)
    place = {**store.place_inside(owner), "document_id": document_id}
    size_bytes = quota.removed(connection, document_version, place)
    statements.remove(connection, document, place)
    quota.count(connection, owner, -size_bytes)


def _characters(connection: Connection, owner: Owner, document_id: str) -> int:
    where = (*store.inside(document_version, owner), document_version.c.document_id == document_id)
    query = select(func.coalesce(func.sum(func.length(document_version.c.content)), 0)).where(*where)
    return int(connection.execute(query).scalar_one())


def _document(
    connection: Connection, owner: Owner, conversation_id: str, document_id: str, *, lock: bool = False
) -> Document:
    if lock:
        # The conversation's, as everywhere: else it may go meanwhile, and what hangs on it stay.
        store.one(connection, owner, conversation_id, lock=True)
    query = select(*_COLUMNS).where(*_of(owner, conversation_id), document.c.document_id == document_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(NO_DOCUMENT)
    return Document(**row._asdict())


def _changed(connection: Connection, owner: Owner, found: Document, values: dict[str, Any]) -> Document:
    where = (*_of(owner, found.conversation_id), document.c.document_id == found.document_id)
    connection.execute(update(document).where(*where).values(values))
    return msgspec.structs.replace(found, **values)


def _add_version(connection: Connection, owner: Owner, document_id: str, version: Version) -> None:
    row = {**store.place_inside(owner), "document_id": document_id, **msgspec.structs.asdict(version)}
    connection.execute(insert(document_version), row)
    quota.count(connection, owner, quota.weight(document_version, [row]))


def _of(owner: Owner, conversation_id: str) -> tuple[Any, ...]:
    return (
        *store.inside(document, owner),
        document.c.owner_id == owner.owner_id,
        document.c.conversation_id == conversation_id,
    )
