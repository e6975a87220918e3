"""What is kept counts anew: also the settings of conversations, projects and shortcuts, and answers a crash cut short."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COUNTED = {
    "conversation": ("name", "description", "instructions", "tools", "completion_args", "metadata"),
    "project": ("name", "instructions"),
    "shortcut": ("name", "text"),
}
OWNER = "organisation_id, workspace_id, owner_id"
ENTRIES = """
SELECT c.organisation_id, c.workspace_id, c.owner_id, {size} AS size FROM conversation_entry e
JOIN conversation c ON c.organisation_id = e.organisation_id AND c.workspace_id = e.workspace_id
    AND c.conversation_id = e.conversation_id
"""
VERSIONS = """
SELECT d.organisation_id, d.workspace_id, d.owner_id, {size} AS size FROM document_version v
JOIN document d ON d.organisation_id = v.organisation_id AND d.workspace_id = v.workspace_id
    AND d.document_id = v.document_id
"""


def upgrade() -> None:
    of_text = "octet_length({})" if op.get_bind().dialect.name == "postgresql" else "length(CAST({} AS BLOB))"
    parts = [ENTRIES.format(size=of_text.format("e.body")), VERSIONS.format(size=of_text.format("v.content"))]
    for table, columns in COUNTED.items():
        size = " + ".join(f"coalesce({of_text.format(name)}, 0)" for name in columns)
        parts.append(f"SELECT {OWNER}, {size} AS size FROM {table}")  # noqa: S608
    kept = " UNION ALL ".join(parts)
    op.execute(sa.text("DELETE FROM kept_bytes"))
    op.execute(
        sa.text(
            f"INSERT INTO kept_bytes ({OWNER}, bytes) SELECT {OWNER}, SUM(size) FROM ({kept}) AS kept GROUP BY {OWNER}"  # noqa: S608
        )
    )
