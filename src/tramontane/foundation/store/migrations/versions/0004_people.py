"""Passwords, sessions and invitations of people; three roles, and who made a key."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def upgrade() -> None:
    op.add_column("person", _text("language", nullable=True))
    op.add_column("person", _text("theme", nullable=True))
    op.add_column("service_key", _text("created_by", nullable=True))
    op.execute("UPDATE membership SET role = 'administrator' WHERE role IN ('owner', 'admin')")
    _create_passwords()
    _create_sessions()
    _create_invitations()


def _create_passwords() -> None:
    op.create_table(
        "password",
        _text("organisation_id"),
        _text("person_id"),
        _text("hash"),
        _time("changed_ns"),
        sa.PrimaryKeyConstraint("organisation_id", "person_id", name="pk_password"),
        sa.ForeignKeyConstraint(
            ["organisation_id", "person_id"],
            ["person.organisation_id", "person.person_id"],
            name="fk_password_person",
        ),
    )


def _create_sessions() -> None:
    op.create_table(
        "web_session",
        _text("organisation_id"),
        _text("session_id"),
        _text("person_id"),
        _text("workspace_id"),
        sa.Column("token_sha256", sa.LargeBinary, nullable=False),
        _text("agent"),
        _time("created_ns"),
        _time("seen_ns"),
        sa.PrimaryKeyConstraint("organisation_id", "session_id", name="pk_web_session"),
        sa.UniqueConstraint("token_sha256", name="uq_web_session_token_sha256"),
        sa.ForeignKeyConstraint(
            ["organisation_id", "person_id"],
            ["person.organisation_id", "person.person_id"],
            name="fk_web_session_person",
        ),
    )
    op.create_index("ix_web_session_organisation_id_person_id", "web_session", ["organisation_id", "person_id"])


def _create_invitations() -> None:
    op.create_table(
        "invitation",
        _text("organisation_id"),
        _text("workspace_id"),
        _text("invitation_id"),
        _text("kind"),
        _text("role"),
        _text("email", nullable=True),
        _text("person_id", nullable=True),
        sa.Column("secret_sha256", sa.LargeBinary, nullable=False),
        _text("created_by", nullable=True),
        _time("created_ns"),
        _time("expires_ns", nullable=True),
        _time("used_ns", nullable=True),
        _time("revoked_ns", nullable=True),
        sa.PrimaryKeyConstraint("organisation_id", "workspace_id", "invitation_id", name="pk_invitation"),
        sa.UniqueConstraint("secret_sha256", name="uq_invitation_secret_sha256"),
        sa.ForeignKeyConstraint(
            ["organisation_id", "workspace_id"],
            ["workspace.organisation_id", "workspace.workspace_id"],
            name="fk_invitation_workspace",
        ),
    )
