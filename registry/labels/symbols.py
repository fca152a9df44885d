"""Two-dimensional symbols: a text as a square of dark and light modules, drawn by libzint."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import zint

from protocol.errors import InvalidValue

QR, DATA_MATRIX = "qr", "datamatrix"

QUIET_ZONE = {QR: 4, DATA_MATRIX: 1}
"""The light margin in modules that a reader needs at least: ISO/IEC 18004 for QR, ISO/IEC 16022
for Data Matrix."""

LEVELS = {"l": 1, "m": 2, "q": 3, "h": 4}
"""Error correction of QR: about 7, 15, 25 and 30 % of the symbol may be lost (ISO/IEC 18004).
Data Matrix has one, ECC 200."""

DEFAULT_LEVEL = "m"

_SQUARE = 100  # DM_SQUARE of libzint: readers know squares best, and a sheet is laid out in them
_DARK = re.compile("1+")


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol without its quiet zone.

    kind: "qr" or "datamatrix". size: modules on each side. modules: row after row from the top,
    each filled up to whole octets, the leftmost module in the least significant bit, dark is 1.
    """

    kind: str
    size: int
    modules: bytes

    def border(self, quiet_zone: int | None) -> int:
        """Return the quiet zone in modules: the one wished for, or the least that is enough.

        Raises InvalidValue for one that is too narrow.
        """
        least = QUIET_ZONE[self.kind]
        if quiet_zone is None:
            return least
        if quiet_zone < least:
            raise InvalidValue(
                f"the quiet zone of this symbol has at least {least} modules", field="quiet_zone"
            )
        return quiet_zone

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """Yield each run of dark modules: column and row of its left end, and its length."""
        width = row_octets(self.size)
        for row in range(self.size):
            octets = self.modules[row * width : (row + 1) * width]
            bits = f"{int.from_bytes(octets, 'little'):b}"[::-1]
            for run in _DARK.finditer(bits):
                yield run.start(), row, run.end() - run.start()


def row_octets(size: int) -> int:
    """Return how many octets a row of so many modules takes."""
    return (size + 7) // 8


def encode(text: str, kind: str, level: str | None = None) -> Symbol:
    """Return the smallest symbol that says `text`, which is ASCII.

    level: of error correction, for QR alone, DEFAULT_LEVEL if None; a higher one is used where
    the symbol grows no larger by it. Raises InvalidValue for a text that no symbol of the kind
    can hold, and for a level that the kind does not have.
    """
    drawing = zint.Symbol()
    if kind == QR:
        drawing.symbology = zint.Symbology.QRCODE
        drawing.option_1 = LEVELS[level or DEFAULT_LEVEL]
    elif level is None:
        drawing.symbology = zint.Symbology.DATAMATRIX
        drawing.option_3 = _SQUARE
    else:
        raise InvalidValue("Data Matrix has one level of error correction", field="level")
    try:
        drawing.encode(text.encode("ascii"))
    except RuntimeError as error:
        raise InvalidValue(
            f"this symbol cannot hold an address of {len(text)} characters", field="symbol"
        ) from error
    return Symbol(kind, drawing.rows, _packed(drawing))


def _packed(drawing: zint.Symbol) -> bytes:
    rows, used = drawing.encoded_data, row_octets(drawing.width)
    octets, stride = rows.tobytes(), rows.nbytes // len(rows)
    return b"".join(
        octets[start : start + used] for start in range(0, drawing.rows * stride, stride)
    )
