"""Organisations, workspaces, people, keys, secrets and receipts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _id(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _count(name: str, **options: object) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, **options)  # type: ignore[arg-type]


def upgrade() -> None:
    _create_people()
    _create_keys()
    _create_receipts()


def _create_people() -> None:
    op.create_table(
        "organisation",
        _id("organisation_id"),
        _id("name"),
        _count("created_ns"),
        sa.PrimaryKeyConstraint("organisation_id", name="pk_organisation"),
        sa.UniqueConstraint("name", name="uq_organisation_name"),
    )
    op.create_table(
        "workspace",
        _id("organisation_id"),
        _id("workspace_id"),
        _id("name"),
        _count("weight"),
        _count("created_ns"),
        sa.PrimaryKeyConstraint("organisation_id", "workspace_id", name="pk_workspace"),
        sa.UniqueConstraint("organisation_id", "name", name="uq_workspace_organisation_id_name"),
        sa.UniqueConstraint("workspace_id", name="uq_workspace_workspace_id"),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.organisation_id"], name="fk_workspace_organisation"
        ),
    )
    op.create_table(
        "person",
        _id("organisation_id"),
        _id("person_id"),
        _id("name"),
        sa.Column("email", sa.Text),
        _count("created_ns"),
        sa.PrimaryKeyConstraint("organisation_id", "person_id", name="pk_person"),
        sa.UniqueConstraint("organisation_id", "email", name="uq_person_organisation_id_email"),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.organisation_id"], name="fk_person_organisation"),
    )
    op.create_table(
        "membership",
        _id("organisation_id"),
        _id("workspace_id"),
        _id("person_id"),
        _id("role"),
        _count("created_ns"),
        sa.PrimaryKeyConstraint("organisation_id", "workspace_id", "person_id", name="pk_membership"),
        sa.ForeignKeyConstraint(
            ["organisation_id", "workspace_id"],
            ["workspace.organisation_id", "workspace.workspace_id"],
            name="fk_membership_workspace",
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id", "person_id"],
            ["person.organisation_id", "person.person_id"],
            name="fk_membership_person",
        ),
    )


def _create_keys() -> None:
    op.create_table(
        "service_key",
        _id("organisation_id"),
        _id("workspace_id"),
        _id("key_id"),
        _id("name"),
        sa.Column("secret_sha256", sa.LargeBinary, nullable=False),
        _id("scopes"),
        sa.Column("weight", sa.BigInteger),
        sa.Column("requests_per_minute", sa.BigInteger),
        sa.Column("tokens_per_minute", sa.BigInteger),
        _count("created_ns"),
        sa.Column("expires_ns", sa.BigInteger),
        sa.Column("revoked_ns", sa.BigInteger),
        sa.Column("last_used_ns", sa.BigInteger),
        sa.PrimaryKeyConstraint("organisation_id", "workspace_id", "key_id", name="pk_service_key"),
        sa.UniqueConstraint("key_id", name="uq_service_key_key_id"),
        sa.ForeignKeyConstraint(
            ["organisation_id", "workspace_id"],
            ["workspace.organisation_id", "workspace.workspace_id"],
            name="fk_service_key_workspace",
        ),
    )
    op.create_table(
        "secret",
        _id("organisation_id"),
        _id("name"),
        sa.Column("value", sa.LargeBinary, nullable=False),
        _count("created_ns"),
        sa.PrimaryKeyConstraint("organisation_id", "name", name="pk_secret"),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.organisation_id"], name="fk_secret_organisation"),
    )


def _create_receipts() -> None:
    op.create_table(
        "receipt",
        _id("organisation_id"),
        _id("workspace_id"),
        _id("request_id"),
        _count("time_ns"),
        _id("principal_id"),
        sa.Column("key_id", sa.Text),
        _id("model"),
        _id("kind"),
        _id("dialect"),
        _id("outcome"),
        sa.Column("error_code", sa.Text),
        _count("prompt_tokens"),
        _count("cached_tokens"),
        _count("computed_tokens"),
        _count("generated_tokens"),
        _count("reasoning_tokens"),
        _count("decode_positions"),
        _count("cache_reads"),
        _count("queued_ns"),
        _count("prefill_ns"),
        _count("decode_ns"),
        sa.PrimaryKeyConstraint("organisation_id", "workspace_id", "request_id", name="pk_receipt"),
    )
    op.create_index("ix_receipt_organisation_id_time_ns", "receipt", ["organisation_id", "time_ns"])
    op.create_index(
        "ix_receipt_organisation_id_workspace_id_time_ns", "receipt", ["organisation_id", "workspace_id", "time_ns"]
    )
