"""A key has no weight of its own: each workspace keeps the largest that it or one of its live keys had."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    workspace = sa.table("workspace", *map(sa.column, ("organisation_id", "workspace_id", "weight")))
    key = sa.table("service_key", *map(sa.column, ("organisation_id", "workspace_id", "weight", "revoked_ns")))
    largest = (
        sa.select(sa.func.max(key.c.weight))
        .where(key.c.organisation_id == workspace.c.organisation_id, key.c.workspace_id == workspace.c.workspace_id)
        .where(key.c.revoked_ns.is_(None))
        .scalar_subquery()
    )
    op.execute(workspace.update().where(largest > workspace.c.weight).values(weight=largest))
    op.drop_column("service_key", "weight")
