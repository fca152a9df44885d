"""What the definitions of tables are made of."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

metadata = sa.MetaData()
Text = pg.TEXT
Time = pg.TIMESTAMP(timezone=True)
Bytes = pg.BYTEA

# Names compare by their bytes: no locale, and the fastest index there is.
Name = pg.TEXT(collation="C")
now = sa.func.now()
begun = sa.func.statement_timestamp()


def created() -> sa.Column[object]:
    """Return the column of when a row was made."""
    return sa.Column("created_at", Time, nullable=False, server_default=now)


def updated() -> sa.Column[object]:
    """Return the column of when a row was last written."""
    return sa.Column("updated_at", Time, nullable=False, server_default=now)


def count(name: str) -> sa.Column[object]:
    """Return a column that counts from 0."""
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


def uuid() -> sa.Column[object]:
    """Return the column of an id that the database makes."""
    return sa.Column(
        "id", pg.UUID(as_uuid=True), primary_key=True, server_default=sa.func.gen_random_uuid()
    )
