"""The one collection of tables that all rooms declare theirs in, so that constraints are named alike everywhere.

Every table carries `organisation_id` or `workspace_id` in its primary key. Portable column types only: text, 64-bit
integers, booleans, bytes.
"""

from sqlalchemy import MetaData

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
