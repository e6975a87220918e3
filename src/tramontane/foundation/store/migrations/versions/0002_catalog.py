"""Installed models, aliases and accepted licences."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def upgrade() -> None:
    op.create_table(
        "installed_model",
        _text("organisation_id"),
        _text("workspace_id"),
        _text("name"),
        _text("state"),
        _text("engine"),
        _text("sha256"),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        _text("document"),
        _text("added_by"),
        sa.Column("added_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "workspace_id", "name", name="pk_installed_model"),
        sa.UniqueConstraint("name", name="uq_installed_model_name"),
    )
    op.create_table(
        "model_alias",
        _text("organisation_id"),
        _text("workspace_id"),
        _text("name"),
        _text("target"),
        _text("set_by"),
        sa.Column("set_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "workspace_id", "name", name="pk_model_alias"),
    )
    op.create_table(
        "licence_acceptance",
        _text("organisation_id"),
        _text("licence"),
        _text("licence_hash"),
        _text("accepted_by"),
        sa.Column("accepted_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "licence", "licence_hash", name="pk_licence_acceptance"),
    )
