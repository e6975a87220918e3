"""The tables of this room, and nothing else. Text that can be found carries `scope` and `words` for the search index.

The index itself is derived from these rows and made by the migration; it is declared nowhere else.
"""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ForeignKeyConstraint, Index, Table, Text, UniqueConstraint

from tramontane.foundation.store.tables import metadata


def _key(name: str) -> Column[str]:
    return Column(name, Text, primary_key=True)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _time(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _owned(name: str, key: str, *rest: Any) -> Table:
    return Table(name, metadata, _key("organisation_id"), _key("workspace_id"), _key(key), *rest)


conversation = _owned(
    "conversation",
    "conversation_id",
    _text("owner_id"),
    _time("number"),
    Column("name", Text),
    _text("named_by"),
    Column("description", Text),
    _text("model"),
    Column("instructions", Text),
    _text("tools"),
    _text("completion_args"),
    Column("metadata", Text),
    Column("project_id", Text),
    Column("pinned", Boolean, nullable=False),
    Column("archived", Boolean, nullable=False),
    Column("head_entry_id", Text),
    Column("running_entry_id", Text),
    _text("preview"),
    Column("origin", Text),
    _text("scope"),
    _text("words"),
    _time("created_ns"),
    _time("updated_ns"),
    UniqueConstraint("number", name="uq_conversation_number"),
    UniqueConstraint("organisation_id", "workspace_id", "owner_id", "origin", name="uq_conversation_origin"),
    Index(
        "ix_conversation_shown", "organisation_id", "workspace_id", "owner_id", "archived", "pinned", "updated_ns",
        "conversation_id",
    ),
)  # fmt: skip
# What lists and searches look at stands before what may be long: SQLite reads a row from its beginning.
entry = _owned(
    "conversation_entry",
    "entry_id",
    _text("conversation_id"),
    _time("number"),
    Column("parent_id", Text),
    _text("kind"),
    Column("role", Text),
    _text("scope"),
    _text("status"),
    Column("runner_id", Text),
    Column("send_key", Text),
    Column("model", Text),
    _time("created_ns"),
    Column("completed_ns", BigInteger),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("usage", Text),
    _text("body"),
    _text("words"),
    UniqueConstraint("number", name="uq_conversation_entry_number"),
    UniqueConstraint(
        "organisation_id", "workspace_id", "conversation_id", "send_key", name="uq_conversation_entry_send_key"
    ),
    ForeignKeyConstraint(
        ["organisation_id", "workspace_id", "conversation_id"],
        ["conversation.organisation_id", "conversation.workspace_id", "conversation.conversation_id"],
        name="fk_conversation_entry_conversation",
    ),
    Index("ix_conversation_entry_tree", "organisation_id", "workspace_id", "conversation_id", "number"),
)
project = _owned(
    "project",
    "project_id",
    _text("owner_id"),
    _text("name"),
    _text("instructions"),
    _time("created_ns"),
    _time("updated_ns"),
)
shortcut = _owned(
    "shortcut", "shortcut_id", _text("owner_id"), _text("name"), _text("text"), _time("created_ns"),
    _time("updated_ns"), UniqueConstraint("organisation_id", "workspace_id", "owner_id", "name", name="uq_shortcut_name"),
)  # fmt: skip
share = _owned(
    "conversation_share",
    "share_id",
    _text("conversation_id"),
    _text("owner_id"),
    _text("owner_name"),
    _text("name"),
    _text("head_entry_id"),
    _time("created_ns"),
    Index("ix_conversation_share_conversation", "organisation_id", "workspace_id", "conversation_id"),
)
document = _owned(
    "document",
    "document_id",
    _text("conversation_id"),
    _text("owner_id"),
    Column("entry_id", Text),
    _text("title"),
    _text("kind"),
    Column("language", Text),
    _time("version"),
    _time("created_ns"),
    _time("updated_ns"),
    Index("ix_document_conversation", "organisation_id", "workspace_id", "conversation_id"),
)
document_version = Table(
    "document_version",
    metadata,
    _key("organisation_id"),
    _key("workspace_id"),
    _key("document_id"),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    _text("content"),
    _text("author"),
    _time("created_ns"),
)
# A running count beside the rows themselves: summing up one person's would read all that they keep.
kept_bytes = Table(
    "kept_bytes",
    metadata,
    _key("organisation_id"),
    _key("workspace_id"),
    _key("owner_id"),
    Column("bytes", BigInteger, nullable=False),
)
