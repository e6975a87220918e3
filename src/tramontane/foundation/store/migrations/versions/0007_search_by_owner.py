"""PostgreSQL's search index by owner and time, with the conversation beside each hit.

So the latest texts of one owner are walked back in time without a look at anybody else's, and no hit needs a second look to
say which conversation it is in. Each word begins with a mark of its owner: a word of the owner's beside the others would have
to be met with them, which takes ten times as long as finding them. Rows without words, such as answers that are only begun, are
left out. On SQLite nothing changes.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INDEXED = {"search_entry": "conversation_entry", "search_conversation": "conversation"}
MARK = "substr({row}scope, 2, 4)"
FOUND = f"array_to_tsvector(string_to_array({MARK} || replace({{row}}words, ' ', ' ' || {MARK}), ' '))"
COLUMNS = "scope, number, conversation_id, found"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        return
    for index, table in INDEXED.items():
        _build(index, table)
        _follow(index, table)


def _build(index: str, table: str) -> None:
    """Filled before it is indexed, which is many times as fast; the planner is told at once what it holds."""
    for statement in (
        f"DROP TRIGGER {index}_follow ON {table}",
        f"DROP TABLE {index}",
        f"CREATE TABLE {index} (scope text NOT NULL, number bigint NOT NULL, conversation_id text NOT NULL, "
        "found tsvector NOT NULL)",
        f"INSERT INTO {index} ({COLUMNS}) SELECT scope, number, conversation_id, {FOUND.format(row='')} "  # noqa: S608
        f"FROM {table} WHERE words <> '' ORDER BY number",
        f"ALTER TABLE {index} ADD CONSTRAINT pk_{index} PRIMARY KEY (scope, number)",
        f"CREATE INDEX ix_{index}_found ON {index} USING gin (found) WITH (fastupdate = off)",
        f"ANALYZE {index}",
    ):
        op.execute(statement)


def _follow(index: str, table: str) -> None:
    row = f"VALUES (new.scope, new.number, new.conversation_id, {FOUND.format(row='new.')})"
    for statement in (
        f"CREATE OR REPLACE FUNCTION {index}_follow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "  # noqa: S608
        f"IF TG_OP <> 'INSERT' THEN DELETE FROM {index} WHERE scope = old.scope AND number = old.number; END IF; "
        f"IF TG_OP <> 'DELETE' THEN IF new.words <> '' THEN INSERT INTO {index} ({COLUMNS}) {row}; END IF; END IF; "
        f"RETURN NULL; END $$",
        f"CREATE TRIGGER {index}_follow AFTER INSERT OR DELETE OR UPDATE OF scope, words, number ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {index}_follow()",
    ):
        op.execute(statement)
