"""The SQL of which: installed models, aliases and accepted licences. A row's organisation or workspace may be EVERYONE.

Called inside a transaction by `catalogue`; decides nothing. A model's name is unique on the installation, because its
engine process and its folder carry it.
"""

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Table,
    Text,
    UniqueConstraint,
    delete,
    insert,
    select,
)

from tramontane.foundation.store.tables import metadata
from tramontane.records.catalog.nouns import Acceptance, Alias, InstalledModel, Visibility

installed_model = Table(
    "installed_model",
    metadata,
    Column("organisation_id", Text, primary_key=True),
    Column("workspace_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("engine", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Column("added_by", Text, nullable=False),
    Column("added_ns", BigInteger, nullable=False),
    UniqueConstraint("name"),
)
model_alias = Table(
    "model_alias",
    metadata,
    Column("organisation_id", Text, primary_key=True),
    Column("workspace_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("target", Text, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_ns", BigInteger, nullable=False),
)
licence_acceptance = Table(
    "licence_acceptance",
    metadata,
    Column("organisation_id", Text, primary_key=True),
    Column("licence", Text, primary_key=True),
    Column("licence_hash", Text, primary_key=True),
    Column("accepted_by", Text, nullable=False),
    Column("accepted_ns", BigInteger, nullable=False),
)


def installed_models(connection: Connection) -> dict[str, InstalledModel]:
    """Every installed model by name, whoever sees it; `resolve` narrows to a workspace."""
    rows = connection.execute(select(installed_model.c.document).order_by(installed_model.c.name))
    models = (msgspec.json.decode(row.document, type=InstalledModel) for row in rows)
    return {model.name: model for model in models}


def put_installed(connection: Connection, model: InstalledModel) -> None:
    """Keep a model's row, in place of any of that name."""
    delete_installed(connection, model.name)
    connection.execute(
        insert(installed_model).values(
            organisation_id=model.visibility.organisation_id,
            workspace_id=model.visibility.workspace_id,
            name=model.name,
            state=model.state,
            engine=model.engine,
            sha256=model.sha256,
            size_bytes=model.size_bytes,
            document=msgspec.json.encode(model).decode(),
            added_by=model.added_by,
            added_ns=model.added_ns,
        )
    )


def delete_installed(connection: Connection, name: str) -> bool:
    """Forget a model's row; False when there was none."""
    return connection.execute(delete(installed_model).where(installed_model.c.name == name)).rowcount > 0


def aliases(connection: Connection) -> tuple[Alias, ...]:
    """Every alias, whoever sees it."""
    rows = connection.execute(select(model_alias).order_by(model_alias.c.name))
    return tuple(
        Alias(
            name=row.name,
            target=row.target,
            visibility=Visibility(row.organisation_id, row.workspace_id),
            set_by=row.set_by,
            set_ns=row.set_ns,
        )
        for row in rows
    )


def put_alias(connection: Connection, alias: Alias) -> None:
    """Keep an alias, in place of the one of that name with the same visibility."""
    delete_alias(connection, alias.name, alias.visibility)
    connection.execute(
        insert(model_alias).values(
            organisation_id=alias.visibility.organisation_id,
            workspace_id=alias.visibility.workspace_id,
            name=alias.name,
            target=alias.target,
            set_by=alias.set_by,
            set_ns=alias.set_ns,
        )
    )


def delete_alias(connection: Connection, name: str, visibility: Visibility) -> bool:
    """Forget an alias; False when there was none."""
    statement = delete(model_alias).where(
        model_alias.c.name == name,
        model_alias.c.organisation_id == visibility.organisation_id,
        model_alias.c.workspace_id == visibility.workspace_id,
    )
    return connection.execute(statement).rowcount > 0


def acceptances(connection: Connection) -> tuple[Acceptance, ...]:
    """Every licence somebody has accepted, oldest first."""
    rows = connection.execute(select(licence_acceptance).order_by(licence_acceptance.c.accepted_ns))
    return tuple(Acceptance(**row._mapping) for row in rows)


def add_acceptance(connection: Connection, acceptance: Acceptance) -> None:
    """Record an acceptance; accepting the same wording again changes nothing."""
    table = licence_acceptance.c
    known = connection.execute(
        select(table.accepted_ns).where(
            table.organisation_id == acceptance.organisation_id,
            table.licence == acceptance.licence,
            table.licence_hash == acceptance.licence_hash,
        )
    ).first()
    if known is None:
        connection.execute(insert(licence_acceptance).values(**msgspec.structs.asdict(acceptance)))
