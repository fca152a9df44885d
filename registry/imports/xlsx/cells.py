"""What a cell of a workbook says, as text."""

from __future__ import annotations

import array
import datetime
import decimal
import re
from dataclasses import dataclass

from registry.imports.readers import Unreadable

MAX_STRINGS = 8_000_000
_EPOCH, _EPOCH_1904 = datetime.datetime(1899, 12, 30), datetime.datetime(1904, 1, 1)
_LAST_DAY = 2_958_465
"""9999-12-31."""

DIGITS = 15
"""That a spreadsheet keeps of a number."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,400}(?:\.[0-9]{0,400})?(?:[eE][+-]?[0-9]{1,3})?")
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]{0,14})")
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_ROUND = decimal.Context(prec=DIGITS, rounding=decimal.ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Fault:
    """A cell that cannot be taken: its position in the row, and why."""

    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class Faulty:
    """A row with such cells: the texts of the others, and what is wrong with them, in order."""

    cells: list[str]
    faults: list[Fault]


class CellError(Exception):
    """A cell that cannot be taken; the message says why."""


class SharedStrings:
    """The texts that cells share, by number: their UTF-8 in one piece, to cost little."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._ends = array.array("Q", (0,))

    def append(self, text: str) -> None:
        """Add the next one. Raises Unreadable for too many."""
        if len(self._ends) > MAX_STRINGS:
            raise Unreadable(f"the workbook has over {MAX_STRINGS} different texts; save it as CSV")
        self._octets += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._octets))

    def get(self, number: str) -> str:
        """Return the one that a cell names. Raises CellError."""
        at = int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else -1
        if not 0 <= at < len(self._ends) - 1:
            raise CellError("the cell names a text that the workbook does not have")
        return self._octets[self._ends[at] : self._ends[at + 1]].decode("utf-8", "surrogatepass")


def unescaped(text: str) -> str:
    """Return the text that a workbook writes with ``_xHHHH_`` (ST_Xstring). Raises CellError."""
    if "_x" in text:
        text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
        if "\0" in text:
            raise CellError("the cell holds U+0000")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise CellError("the cell holds half a character") from None
    return text


def number(text: str) -> str:
    """Return a number as it is shown, with as many digits as it has. Raises CellError."""
    if _PLAIN.fullmatch(text):
        return text
    value = _decimal(text)
    if not value:
        return "0"
    if value.adjusted() >= DIGITS:
        raise CellError(
            f"the cell is a number of more than {DIGITS} digits, which a spreadsheet does not keep:"
            " make it a text"
        )
    shown = format(value, "f")
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def moment(text: str, *, from_1904: bool) -> str:
    """Return a day, a time of day, or both (ISO 8601) of a serial number. Raises CellError."""
    days = _decimal(text)
    if days < 0 or days > _LAST_DAY:
        raise CellError("the cell is no date")
    whole = int(days)
    seconds = int(((days - whole) * 86_400).to_integral_value())
    if not whole and (seconds or not from_1904):
        return _at(_EPOCH, 0, seconds).strftime("%H:%M:%S")
    if not from_1904 and whole == 60:
        raise CellError("the cell is 29 February 1900, a day that there was not")
    shifted = whole + 1 if not from_1904 and whole < 60 else whole
    try:
        found = _at(_EPOCH_1904 if from_1904 else _EPOCH, shifted, seconds)
    except OverflowError:
        raise CellError("the cell is no date") from None
    return found.date().isoformat() if not seconds else found.isoformat()


def _at(epoch: datetime.datetime, days: int, seconds: int) -> datetime.datetime:
    return epoch + datetime.timedelta(days=days, seconds=seconds)


def _decimal(text: str) -> decimal.Decimal:
    if not _NUMBER.fullmatch(text):
        raise CellError("the cell is not a number, though the workbook says so")
    return _ROUND.create_decimal(text)
