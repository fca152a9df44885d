"""Rows of XLSX: the columns mean what they do in CSV."""

from __future__ import annotations

from registry.imports.csv_rows import csv_parser
from registry.imports.mapping import NO_MAPPING, Mapping
from registry.imports.readers import Unreadable
from registry.imports.rows import Line, Parse, RowError
from registry.imports.xlsx.cells import Fault
from registry.imports.xlsx.sheet import Row
from registry.templates.checker import Checker


def xlsx_parser(
    header: Row,
    prefix: str | None,
    checker: Checker | None = None,
    mapping: Mapping = NO_MAPPING,
) -> Parse:
    """Return the parser of the rows under `header`; see csv_rows.csv_parser. Raises Unreadable."""
    if isinstance(header, Fault):
        raise Unreadable(
            f"cell {header.position + 1} of the header is a formula, an error or a number that"
            " cannot be taken"
        )
    names = header
    parse_cells = csv_parser(names, prefix, checker, mapping)

    def parse(row: Row, stamp: str) -> Line | None:
        if isinstance(row, Fault):
            column = names[row.position] if row.position < len(names) else ""
            raise RowError(column, row.reason)
        return parse_cells([*row, *("" for _ in range(len(names) - len(row)))], stamp)

    return parse
