"""Sheets of labels to print: PDF on A4, true to the millimetre."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from reportlab import rl_config
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from protocol.errors import InvalidValue
from registry.labels.pictures import MODULE_MM
from registry.labels.symbols import Symbol
from registry.labels.typeface import Typeface, typeface

A4_MM = (210.0, 297.0)
"""Width and height (ISO 216)."""

LEAST_LABEL_MM = 10.0

NOTICE_MM = 6.0
"""Margin that a notice at the foot of a sheet needs."""

_PADDING_MM = 1.0
_NOTICE_POINTS = 7.0
_FONT_SIZES = (8.0, 7.0, 6.0, 5.0, 4.0)  # points
_LEADING = 1.2

# Else every stream is spelled in ASCII, a quarter longer and slower to make.
rl_config.useA85 = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """How labels stand on a sheet; the lengths in mm are those that makers of label sheets give.

    columns, rows: of labels. margin_x, margin_y: from the left and right, the upper and lower
    edge of the sheet to the labels. gap_x, gap_y: between labels. start: place of the first label
    on the first sheet, counted from 1 along the rows, for sheets of which some are used.
    quiet_zone: in modules; None for the least that the symbol needs.
    """

    columns: int = 3
    rows: int = 8
    margin_x: float = 7.25
    margin_y: float = 12.9
    gap_x: float = 2.5
    gap_y: float = 0.0
    start: int = 1
    quiet_zone: int | None = None

    @property
    def label_mm(self) -> tuple[float, float]:
        """Width and height of a label in mm."""
        width, height = A4_MM
        return (
            (width - 2 * self.margin_x - (self.columns - 1) * self.gap_x) / self.columns,
            (height - 2 * self.margin_y - (self.rows - 1) * self.gap_y) / self.rows,
        )

    def check(self) -> None:
        """Raise InvalidValue if labels would be too small, or `start` is not on the sheet."""
        for length, field in zip(self.label_mm, ("sheet.columns", "sheet.rows"), strict=True):
            if length < LEAST_LABEL_MM:
                raise InvalidValue(
                    f"leaves {max(length, 0):.1f} mm for a label, less than {LEAST_LABEL_MM:g} mm",
                    field=field,
                )
        if self.start > self.columns * self.rows:
            raise InvalidValue(
                f"a sheet has {self.columns * self.rows} labels", field="sheet.start"
            )

    def corner(self, place: int) -> tuple[float, float]:
        """Return the lower left corner of the label at a place, from 0 on, in mm."""
        row, column = divmod(place, self.columns)
        width, height = self.label_mm
        return (
            self.margin_x + column * (width + self.gap_x),
            A4_MM[1] - self.margin_y - row * (height + self.gap_y) - height,
        )


class Sheets:
    """A document that grows by `add` and is whole after `finish`."""

    def __init__(
        self,
        layout: Layout,
        *,
        title: str,
        font_file: Path | None = None,
        notice: str | None = None,
    ) -> None:
        """Begin a document. Raises what `Layout.check` and `typeface` raise.

        notice: a line for the foot of each sheet, printed where its margin is of NOTICE_MM.
        """
        layout.check()
        self._layout = layout
        self._notice = notice if layout.margin_y >= NOTICE_MM else None
        self._face: Typeface = typeface(font_file)
        self._place = layout.start - 1
        self._written = io.BytesIO()
        size = (A4_MM[0] * mm, A4_MM[1] * mm)
        self._canvas = Canvas(self._written, pagesize=size, pageCompression=1, invariant=1)
        self._canvas.setTitle(title)
        # Printing dialogs otherwise shrink the page to what the printer can reach.
        self._canvas.setViewerPreference("PrintScaling", "None")

    def add(self, symbol: Symbol, text: str) -> None:
        """Print one label: the symbol, and beneath it the text in as many lines as it takes.

        Raises InvalidValue if either would be too small on labels of this size.
        """
        if self._place == self._layout.columns * self._layout.rows:
            self._end_page()
            self._place = 0
        left, bottom = (part * mm for part in self._layout.corner(self._place))
        width, height = (length * mm for length in self._layout.label_mm)
        padding = _PADDING_MM * mm
        inner = (width - 2 * padding, height - 2 * padding)
        size, lines = self._set(text, inner)
        text_height = len(lines) * size * _LEADING
        side = min(inner[0], inner[1] - text_height)
        middle = left + width / 2
        top = bottom + padding + text_height + (inner[1] - text_height + side) / 2
        self._draw(symbol, text, middle - side / 2, top - side, side)
        for number, line in enumerate(lines, 1):
            at = bottom + padding + text_height - number * size * _LEADING + size * 0.25
            self._write(line, size, middle, at)
        self._place += 1

    def finish(self) -> bytes:
        """Return the whole PDF file."""
        self._end_page()
        self._canvas.save()
        return self._written.getvalue()

    def _end_page(self) -> None:
        if self._notice is not None:
            line = self._face.printable(self._notice)
            self._write(line, _NOTICE_POINTS, A4_MM[0] / 2 * mm, NOTICE_MM / 2 * mm)
        self._canvas.showPage()

    def _set(self, text: str, inner: tuple[float, float]) -> tuple[float, list[str]]:
        """Return the largest font size at which the text leaves half of the label, and lines."""
        printable = self._face.printable(text)
        for size in _FONT_SIZES:
            lines = self._face.lines(printable, size, inner[0])
            if len(lines) * size * _LEADING <= inner[1] / 2:
                return size, lines
        raise InvalidValue(f"the labels are too small for the text {text}", field="sheet")

    def _draw(self, symbol: Symbol, text: str, x: float, y: float, side: float) -> None:
        border = symbol.border(self._layout.quiet_zone)
        module = side / (symbol.size + 2 * border)
        if module < MODULE_MM[0] * mm:
            raise InvalidValue(
                f"the labels are too small for the {symbol.size} modules of {text}: each would be"
                f" {module / mm:.2f} mm wide, less than {MODULE_MM[0]:g} mm",
                field="sheet",
            )
        canvas = self._canvas
        canvas.saveState()
        canvas.translate(x, y)
        canvas.scale(module, module)
        # One path, filled once: between areas of their own, readers of PDF leave hairlines.
        path = canvas.beginPath()
        highest = border + symbol.size - 1
        for column, row, length in symbol.runs():
            path.rect(column + border, highest - row, length, 1)
        canvas.drawPath(path, stroke=0, fill=1)
        canvas.restoreState()

    def _write(self, line: str, size: float, middle: float, y: float) -> None:
        text = self._canvas.beginText(middle - self._face.width(line, size) / 2, y)
        for font, part in self._face.runs(line):
            text.setFont(font, size)
            text.textOut(part)
        self._canvas.drawText(text)
