"""Conversations, their entries and what belongs to them, with the search index over both."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INDEXED = {"search_entry": "conversation_entry", "search_conversation": "conversation"}


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


def _count(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=null)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def _key(table: str, *names: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint("organisation_id", "workspace_id", *names, name=f"pk_{table}")


def _place() -> tuple[sa.Column[str], sa.Column[str]]:
    return _text("organisation_id"), _text("workspace_id")


def upgrade() -> None:
    _create_conversation()
    _create_entry()
    _create_share()
    _create_kept_texts()
    _create_documents()
    for index, table in INDEXED.items():
        (_index_sqlite if op.get_bind().dialect.name == "sqlite" else _index_postgresql)(index, table)


def _create_conversation() -> None:
    op.create_table(
        "conversation",
        *_place(),
        _text("conversation_id"),
        _text("owner_id"),
        _count("number"),
        _text("name", null=True),
        _text("named_by"),
        _text("description", null=True),
        _text("model"),
        _text("instructions", null=True),
        _text("tools"),
        _text("completion_args"),
        _text("metadata", null=True),
        _text("project_id", null=True),
        _flag("pinned"),
        _flag("archived"),
        _text("head_entry_id", null=True),
        _text("running_entry_id", null=True),
        _text("preview"),
        _text("origin", null=True),
        _text("scope"),
        _text("words"),
        _count("created_ns"),
        _count("updated_ns"),
        _key("conversation", "conversation_id"),
        sa.UniqueConstraint("number", name="uq_conversation_number"),
        sa.UniqueConstraint("organisation_id", "workspace_id", "owner_id", "origin", name="uq_conversation_origin"),
    )
    shown = ["organisation_id", "workspace_id", "owner_id", "archived", "pinned", "updated_ns", "conversation_id"]
    op.create_index("ix_conversation_shown", "conversation", shown)


def _create_entry() -> None:
    op.create_table(
        "conversation_entry",
        *_place(),
        _text("entry_id"),
        _text("conversation_id"),
        _count("number"),
        _text("parent_id", null=True),
        _text("kind"),
        _text("role", null=True),
        _text("scope"),
        _text("status"),
        _text("runner_id", null=True),
        _text("send_key", null=True),
        _text("model", null=True),
        _count("created_ns"),
        _count("completed_ns", null=True),
        _text("error_code", null=True),
        _text("error_message", null=True),
        _text("usage", null=True),
        _text("body"),
        _text("words"),
        _key("conversation_entry", "entry_id"),
        sa.UniqueConstraint("number", name="uq_conversation_entry_number"),
        sa.UniqueConstraint(
            "organisation_id", "workspace_id", "conversation_id", "send_key", name="uq_conversation_entry_send_key"
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "workspace_id", "conversation_id"],
            ["conversation.organisation_id", "conversation.workspace_id", "conversation.conversation_id"],
            name="fk_conversation_entry_conversation",
        ),
    )
    tree = ["organisation_id", "workspace_id", "conversation_id", "number"]
    op.create_index("ix_conversation_entry_tree", "conversation_entry", tree)


def _create_share() -> None:
    op.create_table(
        "conversation_share",
        *_place(),
        _text("share_id"),
        _text("conversation_id"),
        _text("owner_id"),
        _text("owner_name"),
        _text("name"),
        _text("head_entry_id"),
        _count("created_ns"),
        _key("conversation_share", "share_id"),
    )
    columns = ["organisation_id", "workspace_id", "conversation_id"]
    op.create_index("ix_conversation_share_conversation", "conversation_share", columns)


def _create_kept_texts() -> None:
    op.create_table(
        "project",
        *_place(),
        _text("project_id"),
        _text("owner_id"),
        _text("name"),
        _text("instructions"),
        _count("created_ns"),
        _count("updated_ns"),
        _key("project", "project_id"),
    )
    op.create_table(
        "shortcut",
        *_place(),
        _text("shortcut_id"),
        _text("owner_id"),
        _text("name"),
        _text("text"),
        _count("created_ns"),
        _count("updated_ns"),
        _key("shortcut", "shortcut_id"),
        sa.UniqueConstraint("organisation_id", "workspace_id", "owner_id", "name", name="uq_shortcut_name"),
    )


def _create_documents() -> None:
    op.create_table(
        "document",
        *_place(),
        _text("document_id"),
        _text("conversation_id"),
        _text("owner_id"),
        _text("entry_id", null=True),
        _text("title"),
        _text("kind"),
        _text("language", null=True),
        _count("version"),
        _count("created_ns"),
        _count("updated_ns"),
        _key("document", "document_id"),
    )
    op.create_index("ix_document_conversation", "document", ["organisation_id", "workspace_id", "conversation_id"])
    op.create_table(
        "document_version",
        *_place(),
        _text("document_id"),
        _count("version"),
        _text("content"),
        _text("author"),
        _count("created_ns"),
        _key("document_version", "document_id", "version"),
    )


def _index_sqlite(index: str, table: str) -> None:
    """An index over the rows' own words; whoever writes the rows tells it, since our connections trust no triggers."""
    op.execute(
        f"CREATE VIRTUAL TABLE {index} USING fts5(scope, words, content='{table}', content_rowid='number', "
        "detail=column, prefix='2 3', tokenize='ascii')"
    )


def _index_postgresql(index: str, table: str) -> None:
    """A table beside the rows, so that only what the search reads is walked when a word is frequent."""
    words = "array_to_tsvector(array_remove(string_to_array(new.scope || ' ' || new.words, ' '), ''))"
    row = f"VALUES (new.organisation_id, new.number, {words})"
    for statement in (
        f"CREATE TABLE {index} (organisation_id text NOT NULL, number bigint NOT NULL, found tsvector NOT NULL, "
        f"CONSTRAINT pk_{index} PRIMARY KEY (organisation_id, number))",
        f"CREATE INDEX ix_{index}_found ON {index} USING gin (found) WITH (fastupdate = off)",
        f"CREATE INDEX ix_{index}_number ON {index} (number)",
        f"CREATE OR REPLACE FUNCTION {index}_follow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "  # noqa: S608
        f"IF TG_OP <> 'INSERT' THEN DELETE FROM {index} "
        f"WHERE organisation_id = old.organisation_id AND number = old.number; END IF; "
        f"IF TG_OP <> 'DELETE' THEN INSERT INTO {index} (organisation_id, number, found) {row}; END IF; "
        f"RETURN NULL; END $$",
        f"CREATE TRIGGER {index}_follow AFTER INSERT OR DELETE OR UPDATE OF scope, words, number ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {index}_follow()",
    ):
        op.execute(statement)
