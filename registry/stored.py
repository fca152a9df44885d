"""What identifiers hold, read within a transaction: for those who decide what may be written."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol import json_api
from protocol.identifier import PREFIX_HANDLE_PREFIX, Identifier
from protocol.values import HandleValue
from registry.listing import Listing
from registry.prefix_handles import owner_prefix
from registry.prefixes import ACTIVE, HOSTED, hold_state
from registry.schema import Name, identifiers, prefixes

_PREFIX = sa.bindparam("at_prefix", type_=Name)
_SUFFIX_KEY = sa.bindparam("at_suffix_key", type_=Name)
_ONE = sa.select(identifiers.c["values"]).where(
    identifiers.c.prefix == _PREFIX, identifiers.c.suffix_key == _SUFFIX_KEY
)
_ONE_LOCKED = _ONE.with_for_update()
_MEMBER = sa.select(
    sa.func.range_member(_PREFIX, _SUFFIX_KEY)
    .table_valued(sa.column("values", pg.JSONB), name="member")
    .c["values"]
)

# The prefix whose owner an identifier belongs to; without a row there it is the node's own.
_OWNER = """CASE {0}.prefix WHEN '0.NA' THEN {0}.suffix_key ELSE {0}.prefix END"""
_TYPED = sa.text(
    f"""
    SELECT i.prefix, i.suffix_key, v.value AS value_,
        p.prefix IS NULL OR (p.status = '{ACTIVE}' AND p.hosting = '{HOSTED}') AS serving
    FROM unnest(CAST(:prefixes AS text[]), CAST(:suffix_keys AS text[])) AS q (prefix, suffix_key)
    CROSS JOIN LATERAL (
        SELECT prefix, suffix_key, values FROM identifiers
        WHERE prefix = q.prefix AND suffix_key = q.suffix_key
        UNION ALL
        SELECT q.prefix, q.suffix_key, m.values FROM range_member(q.prefix, q.suffix_key) AS m
        WHERE NOT EXISTS (SELECT FROM identifiers
                          WHERE prefix = q.prefix AND suffix_key = q.suffix_key)
    ) AS i
    CROSS JOIN LATERAL jsonb_array_elements(i.values) WITH ORDINALITY AS v (value, position)
    LEFT JOIN prefixes AS p ON p.prefix = {_OWNER.format("i")}
    WHERE upper(v.value ->> 'type') = :type
    ORDER BY i.prefix, i.suffix_key, v.position"""  # noqa: S608  only names of ours
).columns(
    sa.column("prefix", Name),
    sa.column("suffix_key", Name),
    sa.column("value_", pg.JSONB),
    sa.column("serving", sa.Boolean),
)


@dataclass(frozen=True, slots=True)
class Stored:
    """A value and where it stands. serving: its prefix is active and hosted here."""

    prefix: str
    suffix_key: str
    value: HandleValue
    serving: bool

    @property
    def key(self) -> str:
        """The identifier, in its canonical form."""
        return f"{self.prefix}/{self.suffix_key}"


async def lock(connection: AsyncConnection, identifier: Identifier) -> list[HandleValue] | None:
    """Return the values, which nobody else changes before the transaction ends.

    Nor does anybody change the state of the prefix. None where the identifier is not registered.
    """
    await hold_state(connection, owner_prefix(identifier))
    return await _values(connection, _ONE_LOCKED, identifier)


async def read(connection: AsyncConnection, identifier: Identifier) -> list[HandleValue] | None:
    """Return the values, whoever may read them; None where the identifier is not registered."""
    return await _values(connection, _ONE, identifier)


async def _values(
    connection: AsyncConnection, query: sa.Select[Any], identifier: Identifier
) -> list[HandleValue] | None:
    at = {"at_prefix": identifier.prefix_key, "at_suffix_key": identifier.suffix_key}
    row = (await connection.execute(query, at)).one_or_none()
    if row is None:  # a range may have it; the lock on its prefix keeps that as it is
        row = (await connection.execute(_MEMBER, at)).one_or_none()
    return None if row is None else list(json_api.decode_values(row[0]))


async def of_type(
    connection: AsyncConnection, places: Collection[Identifier], type_: str
) -> list[Stored]:
    """Return the values of one type that the identifiers have, whoever may read them."""
    rows = await connection.execute(
        _TYPED,
        {
            "prefixes": [place.prefix_key for place in places],
            "suffix_keys": [place.suffix_key for place in places],
            "type": type_,
        },
    )
    return [
        Stored(row.prefix, row.suffix_key, json_api.decode_value(row.value_), row.serving)
        for row in rows
    ]


async def names(connection: AsyncConnection, prefix: str, limit: int) -> Sequence[str]:
    """Return at most `limit` identifiers under a prefix, as spelled, in order of their bytes."""
    opened = await Listing.of(connection, prefix, values=False)
    return [f"{prefix}/{one.suffix}" for one in await opened.after("", limit)]


async def page(
    connection: AsyncConnection, prefix: str, *, offset: int, limit: int
) -> tuple[int, list[str]]:
    """Return how many identifiers a prefix has, and at most `limit` of them from `offset` on.

    In their canonical form and in order of their bytes.
    """
    opened = await Listing.of(connection, prefix, values=False)
    total = await opened.total()
    if offset >= total or not limit:
        return total, []
    after = await opened.key_at(offset)
    return total, [f"{prefix}/{one.suffix_key}" for one in await opened.after(after, limit)]


async def served_prefixes(connection: AsyncConnection, limit: int) -> Sequence[str]:
    """Return at most `limit` prefixes that are active and hosted here, in order of their bytes."""
    query = (
        sa.select(prefixes.c.prefix)
        .where(prefixes.c.status == ACTIVE, prefixes.c.hosting == HOSTED)
        .order_by(prefixes.c.prefix)
        .limit(limit)
    )
    return (await connection.execute(query)).scalars().all()


def prefix_handle(prefix: str) -> Identifier:
    """Return the identifier ``0.NA/<prefix>``."""
    return Identifier(PREFIX_HANDLE_PREFIX, prefix)
