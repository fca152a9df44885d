"""Rows of XLSX: the columns mean what they do in CSV."""

from __future__ import annotations

from registry.imports.columns import layout_of
from registry.imports.csv_rows import row_parser
from registry.imports.mapping import NO_MAPPING, Mapping
from registry.imports.readers import Unreadable
from registry.imports.rows import Line, Parse, RowError
from registry.imports.xlsx.cells import Faulty
from registry.imports.xlsx.sheet import Row
from registry.templates.checker import Checker


def xlsx_parser(
    header: Row,
    prefix: str | None,
    checker: Checker | None = None,
    mapping: Mapping = NO_MAPPING,
) -> Parse:
    """Return the parser of the rows under `header`; see csv_rows.csv_parser. Raises Unreadable.

    What is wrong with a cell of a column that is not read is nobody's business.
    """
    if isinstance(header, Faulty):
        place = header.faults[0].position + 1
        raise Unreadable(
            f"cell {place} of the header is a formula, an error or a number that cannot be taken"
        )
    layout = layout_of(header, prefix, checker, mapping)
    names, read = layout.names, layout.read
    parse_cells = row_parser(layout, prefix, checker)

    def parse(row: Row, stamp: str) -> Line | None:
        if isinstance(row, Faulty):
            for fault in row.faults:
                if fault.position >= len(names):
                    raise RowError("", fault.reason)
                if fault.position in read:
                    raise RowError(names[fault.position], fault.reason)
            row = row.cells
        if not row:
            return None
        return parse_cells([*row, *("" for _ in range(len(names) - len(row)))], stamp)

    return parse
