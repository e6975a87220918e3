"""A key may be limited to some models."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("service_key", sa.Column("models", sa.Text, nullable=True))
