"""Roles of older releases become today's: owners and admins are administrators, members stay."""

from sqlalchemy import text

from tramontane.foundation.progress import silent
from tramontane.foundation.store.database import Database
from tramontane.foundation.store.schema import migrate

OLD = {"usr_a": "owner", "usr_b": "admin", "usr_c": "member"}


def test_owners_and_admins_become_administrators(address: str) -> None:
    database = Database.open(address)
    migrate(database, silent, target="0003")
    with database.write() as connection:
        connection.execute(text("INSERT INTO organisation (organisation_id, name, created_ns) VALUES ('o', 'o', 1)"))
        connection.execute(
            text(
                "INSERT INTO workspace (organisation_id, workspace_id, name, weight, created_ns) "
                "VALUES ('o', 'w', 'w', 1, 1)"
            )
        )
        for person, role in OLD.items():
            row = {"person": person, "role": role}
            connection.execute(
                text("INSERT INTO person (organisation_id, person_id, name, created_ns) VALUES ('o', :person, 'P', 1)"),
                row,
            )
            connection.execute(
                text(
                    "INSERT INTO membership (organisation_id, workspace_id, person_id, role, created_ns) "
                    "VALUES ('o', 'w', :person, :role, 1)"
                ),
                row,
            )
    migrate(database, silent)
    with database.read() as connection:
        rows = connection.execute(text("SELECT person_id, role FROM membership"))
        found = {person: role for person, role in rows}
    assert found == {"usr_a": "administrator", "usr_b": "administrator", "usr_c": "member"}
    database.close()
