"""All identifiers of a prefix as a file, row by row: as they were at one moment, in flat memory.

NDJSON says all that is registered, and an import takes it back. CSV and XLSX are for spreadsheets:
a column for each index and type, text as it is and other data in JSON. In CSV, cells that a
spreadsheet would take for formulas begin with an apostrophe.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import Conflict
from registry.export_xlsx import FORMULA, xlsx
from registry.imports.columns import MAX_COLUMNS
from registry.listing import Listed, Listing
from registry.schema import Name

_AT_ONCE = 500

_COLUMNS = sa.text(
    """
    SELECT DISTINCT (v.value ->> 'index')::bigint AS at, v.value ->> 'type' AS type
    FROM (SELECT values FROM identifiers WHERE prefix = :prefix
          UNION ALL SELECT values FROM ranges WHERE prefix = :prefix AND :members) AS i
    CROSS JOIN LATERAL jsonb_array_elements(i.values) AS v (value)
    ORDER BY 1, 2 LIMIT :limit"""
).bindparams(sa.bindparam("prefix", type_=Name), sa.bindparam("members", type_=sa.Boolean))

Column = tuple[int, str]
"""Index and type of values."""


def csv_lines(rows: Sequence[Sequence[str]]) -> bytes:
    """Return rows of CSV (RFC 4180, UTF-8), in which no cell is a formula."""
    text = io.StringIO()
    csv.writer(text).writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell


async def ndjson(
    connection: AsyncConnection, prefix: str, *, members: bool
) -> AsyncIterator[bytes]:
    """Yield the lines of NDJSON, many at once. members: also those without values of their own."""
    async for page in _pages(connection, prefix, members=members):
        yield b"".join(_line(prefix, one) for one in page)


def _line(prefix: str, one: Listed) -> bytes:
    line: dict[str, Any] = {"identifier": f"{prefix}/{one.suffix}", "values": one.values}
    if one.template is not None:
        line["template"] = one.template
    return msgspec.json.encode(line) + b"\n"


async def csv_columns(connection: AsyncConnection, prefix: str, *, members: bool) -> list[Column]:
    """Return the columns of the values. Raises Conflict for more than an import takes."""
    limit = MAX_COLUMNS - 2
    at = {"prefix": prefix, "members": members, "limit": limit + 1}
    found = (await connection.execute(_COLUMNS, at)).all()
    if len(found) > limit:
        raise Conflict(f"the values have more than {limit} indexes and types: take ndjson")
    return [(row.at, row.type) for row in found]


async def csv_text(
    connection: AsyncConnection, prefix: str, columns: Sequence[Column], *, members: bool
) -> AsyncIterator[bytes]:
    """Yield the header and the rows of CSV, many at once."""
    yield csv_lines([_header(columns)])
    async for page in _pages(connection, prefix, members=members):
        yield csv_lines([_row(prefix, one, columns) for one in page])


def xlsx_book(
    connection: AsyncConnection, prefix: str, columns: Sequence[Column], *, members: bool
) -> AsyncIterator[bytes]:
    """Yield the pieces of a workbook."""

    async def pages() -> AsyncIterator[list[list[str]]]:
        async for page in _pages(connection, prefix, members=members):
            yield [_row(prefix, one, columns) for one in page]

    return xlsx(_header(columns), pages())


def _header(columns: Sequence[Column]) -> list[str]:
    return ["identifier", *(f"{index}:{type_}" for index, type_ in columns), "ttl"]


def _row(prefix: str, one: Listed, columns: Sequence[Column]) -> list[str]:
    cells = {(value["index"], value["type"]): _cell(value["data"]) for value in one.values}
    ttls = {value["ttl"] for value in one.values}
    ttl = ttls.pop() if len(ttls) == 1 else ""
    return [
        f"{prefix}/{one.suffix}",
        *(cells.get(column, "") for column in columns),
        str(ttl) if isinstance(ttl, int) else "",
    ]


def _cell(data: dict[str, Any]) -> str:
    value = data["value"]
    if data["format"] == "string":
        return str(value)
    return msgspec.json.encode(value).decode()


async def _pages(
    connection: AsyncConnection, prefix: str, *, members: bool
) -> AsyncIterator[list[Listed]]:
    listing = await Listing.of(connection, prefix, members=members)
    after = ""
    while page := await listing.after(after, _AT_ONCE):
        yield page
        after = page[-1].suffix_key
