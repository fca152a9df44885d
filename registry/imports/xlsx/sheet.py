"""The rows of a sheet, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from registry.imports.columns import MAX_COLUMNS
from registry.imports.readers import MAX_ROW_LENGTH, Block, Unreadable
from registry.imports.xlsx import cells
from registry.imports.xlsx.archive import Archive
from registry.imports.xlsx.book import Book
from registry.imports.xlsx.cells import CellError, Fault, Faulty, SharedStrings
from registry.imports.xlsx.markup import Attributes, Handler, parse, parse_all

MAX_ROWS = 1 << 20
"""Of a sheet, as of any spreadsheet program."""

MAX_STRINGS_BYTES = 256 << 20
MAX_SHEET_BYTES = 2 << 30
MAX_ROW_BYTES = 4 << 20
"""XML of one row."""

_TRUTH = {"1": "TRUE", "0": "FALSE", "true": "TRUE", "false": "FALSE"}

Row = list[str] | Faulty
"""The cells of a row up to the last that is not empty, or why it cannot be taken."""


def read_strings(archive: Archive, book: Book) -> SharedStrings:
    """Read the texts that cells share. Raises Unreadable."""
    handler = _Strings()
    if book.strings is not None:
        pieces = archive.stream(book.strings, maximum=MAX_STRINGS_BYTES)
        parse_all(book.strings, pieces, handler)
    return handler.strings


def read_rows(
    archive: Archive, book: Book, strings: SharedStrings
) -> Iterator[tuple[list[Block[Row]], int]]:
    """Yield the rows of the sheet in blocks; with them how many bytes of it they took.

    Rows without a cell are left out: the next block then starts behind them. Raises Unreadable.
    """
    handler = _Sheet(book, strings)
    pieces = archive.stream(book.sheet, maximum=MAX_SHEET_BYTES)
    for taken in parse(book.sheet, pieces, handler):
        yield handler.taken(), taken
    yield handler.taken(), 0


class _Strings(Handler):
    """Texts in runs are put together; how they are read aloud (rPh) is left out."""

    def __init__(self) -> None:
        self.strings = SharedStrings()
        self._parts: list[str] = []
        self._length = 0
        self._open = False
        self._aloud = False

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "si":
            self._parts, self._length = [], 0
        elif name == "rPh":
            self._aloud = True
        elif name == "t":
            self._open = not self._aloud

    def end(self, name: str) -> None:
        if name == "t":
            self._open = False
        elif name == "rPh":
            self._aloud = False
        elif name == "si":
            self.strings.append("".join(self._parts))

    def text(self, text: str) -> None:
        if self._open:
            self._parts.append(text)
            self._length += len(text)
            if self._length > MAX_ROW_LENGTH:
                raise Unreadable(f"a text is longer than {MAX_ROW_LENGTH} characters")


class _Sheet(Handler):
    def __init__(self, book: Book, strings: SharedStrings) -> None:
        self._book = book
        self._strings = strings
        self._blocks: list[Block[Row]] = []
        self._row = 0
        self._in_row = False
        self._begun: int | None = None
        self._cells: list[str] = []
        self._length = 0
        self._faults: list[Fault] = []
        self._column = -1
        self._type = "n"
        self._style = 0
        self._parts: list[str] = []
        self._open = self._aloud = self._computed = False

    def taken(self) -> list[Block[Row]]:
        """Return the rows since last time."""
        blocks, self._blocks = self._blocks, []
        return blocks

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "c":
            self._start_cell(attributes)
        elif name == "v" or (name == "t" and not self._aloud):
            self._open = True
        elif name == "f":
            self._computed = True
        elif name == "rPh":
            self._aloud = True
        elif name == "row":
            self._start_row(attributes)

    def end(self, name: str) -> None:
        if name in ("v", "t"):
            self._open = False
        elif name == "c":
            self._end_cell()
        elif name == "rPh":
            self._aloud = False
        elif name == "row":
            self._end_row()

    def text(self, text: str) -> None:
        if self._open:
            self._parts.append(text)
            self._length += len(text)
            self._check_length()

    def moved(self, position: int) -> None:
        if not self._in_row:
            return
        if self._begun is None:
            self._begun = position
        elif position - self._begun > MAX_ROW_BYTES:
            raise Unreadable(f"row {self._row} is longer than {MAX_ROW_BYTES} bytes of XML")

    def _check_length(self) -> None:
        if self._length > MAX_ROW_LENGTH:
            raise Unreadable(f"row {self._row} is longer than {MAX_ROW_LENGTH} characters")

    def _start_row(self, attributes: Attributes) -> None:
        given = attributes.get("r", "")
        following = self._row + 1
        number = int(given) if given.isascii() and given.isdecimal() and len(given) < 9 else None
        if given and (number is None or number < following):
            raise Unreadable(f"the rows of the sheet are not in order after row {self._row}")
        self._row = number or following
        if self._row > MAX_ROWS:
            raise Unreadable(f"a sheet has at most {MAX_ROWS} rows")
        self._cells, self._length, self._faults, self._column = [], 0, [], -1
        self._begun, self._in_row = None, True

    def _end_row(self) -> None:
        row: Row = Faulty(self._cells, self._faults) if self._faults else self._cells
        self._in_row = False
        if not row:
            return
        if self._blocks and self._blocks[-1].first + len(self._blocks[-1].rows) == self._row:
            self._blocks[-1].rows.append(row)
        else:
            self._blocks.append(Block(self._row, [row]))

    def _start_cell(self, attributes: Attributes) -> None:
        given = attributes.get("r")
        column = self._column + 1 if given is None else _column(given)
        if column <= self._column:
            raise Unreadable(f"the cells of row {self._row} are not in order")
        self._column = column
        self._type = attributes.get("t", "n")
        style = attributes.get("s", "")
        self._style = int(style) if style.isascii() and style.isdecimal() and len(style) < 6 else 0
        self._parts.clear()
        self._computed = False

    def _end_cell(self) -> None:
        text, fault = "", None
        try:
            text = self._value()
        except CellError as error:
            fault = Fault(self._column, str(error))
        if (text or fault) and self._column >= MAX_COLUMNS:
            raise Unreadable(f"row {self._row} has more than {MAX_COLUMNS} columns")
        if fault:
            self._faults.append(fault)
        if text:
            self._cells.extend("" for _ in range(self._column - len(self._cells)))
            self._cells.append(text)

    def _value(self) -> str:
        text = "".join(self._parts)
        if not text and self._type != "str":
            if self._computed:
                raise CellError(
                    "the cell is a formula whose result the workbook does not have: open it in the"
                    " spreadsheet program, save it, and send it again"
                )
            return ""
        if self._type == "s":
            text = cells.unescaped(self._strings.get(text))
            self._length += len(text)
            self._check_length()
            return text
        if self._type in ("str", "inlineStr"):
            return cells.unescaped(text)
        if self._type == "b":
            return _TRUTH.get(text, text)
        if self._type == "e":
            raise CellError(f"the cell shows the error {text[:20]}")
        if self._type == "d":
            return text.removesuffix("T00:00:00")
        if self._style in self._book.moments:
            return cells.moment(text, from_1904=self._book.from_1904)
        return cells.number(text)


def _column(reference: str) -> int:
    """Return the position of a column of which a cell such as ``AB12`` is, from 0."""
    letters = reference.rstrip("0123456789")
    if not (1 <= len(letters) <= 3 and letters.isascii() and letters.isalpha()):
        raise Unreadable(f"the sheet has a cell {reference[:20]!r}")
    column = 0
    for letter in letters.upper():
        column = 26 * column + ord(letter) - 64
    return column - 1
