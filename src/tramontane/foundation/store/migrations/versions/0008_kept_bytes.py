"""How many bytes of conversations each owner keeps, counted once from what is there."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

COUNT = """
INSERT INTO kept_bytes (organisation_id, workspace_id, owner_id, bytes)
SELECT organisation_id, workspace_id, owner_id, SUM(size) FROM (
    SELECT c.organisation_id, c.workspace_id, c.owner_id, {size_of_body} AS size
    FROM conversation_entry e JOIN conversation c ON c.organisation_id = e.organisation_id
        AND c.workspace_id = e.workspace_id AND c.conversation_id = e.conversation_id
    UNION ALL
    SELECT d.organisation_id, d.workspace_id, d.owner_id, {size_of_content} AS size
    FROM document_version v JOIN document d ON d.organisation_id = v.organisation_id
        AND d.workspace_id = v.workspace_id AND d.document_id = v.document_id
) AS kept GROUP BY organisation_id, workspace_id, owner_id
"""


def upgrade() -> None:
    op.create_table(
        "kept_bytes",
        sa.Column("organisation_id", sa.Text, primary_key=True),
        sa.Column("workspace_id", sa.Text, primary_key=True),
        sa.Column("owner_id", sa.Text, primary_key=True),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    size = "octet_length({})" if op.get_bind().dialect.name == "postgresql" else "length(CAST({} AS BLOB))"
    op.execute(COUNT.format(size_of_body=size.format("e.body"), size_of_content=size.format("v.content")))
