"""One symbol as a picture: SVG in millimetres, or PNG in whole pixels a module."""

from __future__ import annotations

import html
import io
from collections.abc import Iterable
from dataclasses import dataclass

from PIL import Image

from protocol.errors import InvalidValue
from registry.labels.symbols import Symbol, row_octets

SVG, PNG = "svg", "png"
MEDIA_TYPES = {SVG: "image/svg+xml", PNG: "image/png"}

MODULE_MM = (0.25, 5.0)
"""Smallest and largest module: 0.25 mm is three dots of a 300 dpi label printer."""

MAX_QUIET_ZONE = 20
MAX_SIDE = 4096
"""Pixels on the longest side of a PNG: 16 MiB while it is drawn."""

MAX_PIXELS = 2_000_000_000
"""Pixels of all pictures of one request: 5 000 pictures of 632 pixels a side."""

_LEAST_PIXELS = 2
_MM_PER_INCH = 25.4


@dataclass(frozen=True, slots=True)
class Measures:
    """How large a picture is made.

    module_mm: side of a module in mm. dpi: pixels an inch, for PNG. quiet_zone: in modules;
    None for the least that the symbol needs.
    """

    module_mm: float = 0.5
    dpi: int = 300
    quiet_zone: int | None = None


def svg(symbol: Symbol, title: str, measures: Measures) -> bytes:
    """Return an SVG document that prints in its true size. Raises InvalidValue."""
    border = symbol.border(measures.quiet_zone)
    side = symbol.size + 2 * border
    length = f"{round(side * measures.module_mm, 3):g}mm"
    path = "".join(
        f"M{column + border} {row + border}h{length_}v1h-{length_}z"
        for column, row, length_ in symbol.runs()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{length}" height="{length}"'
        f' viewBox="0 0 {side} {side}" shape-rendering="crispEdges">'
        f"<title>{html.escape(title)}</title>"
        f'<path fill="#fff" d="M0 0h{side}v{side}H0z"/><path d="{path}"/></svg>\n'
    ).encode()


def png(symbol: Symbol, measures: Measures) -> bytes:
    """Return a PNG of black and white pixels that prints in its true size.

    A module is a whole number of pixels, the nearest to `module_mm`, so that none is wider than
    its neighbour. Raises InvalidValue for modules of too few pixels and pictures of too many.
    """
    side, border = _side(symbol, measures), symbol.border(measures.quiet_zone)
    square = (symbol.size, symbol.size)
    # inverted, as dark is 0 in a picture; reversed, as the leftmost is the lowest bit
    dark = Image.frombytes("1", square, symbol.modules, "raw", ("1;IR", row_octets(symbol.size)))
    small = Image.new("1", (symbol.size + 2 * border,) * 2, 1)
    small.paste(dark, (border, border))
    picture = small.resize((side, side), Image.Resampling.NEAREST)
    written = io.BytesIO()
    picture.save(written, "PNG", dpi=(measures.dpi, measures.dpi), optimize=False)
    return written.getvalue()


def check_pixels(symbols: Iterable[Symbol], measures: Measures) -> None:
    """Let pass symbols of which each can be drawn as a PNG, and all in a bounded time.

    Raises InvalidValue.
    """
    pixels = sum(_side(symbol, measures) ** 2 for symbol in symbols)
    if pixels > MAX_PIXELS:
        raise InvalidValue(
            f"the pictures would have {pixels} pixels together, more than {MAX_PIXELS}: ask for"
            " fewer of them, or for smaller ones",
            field="module_mm",
        )


def _side(symbol: Symbol, measures: Measures) -> int:
    pixels = round(measures.module_mm * measures.dpi / _MM_PER_INCH)
    if pixels < _LEAST_PIXELS:
        raise InvalidValue(
            f"a module of {measures.module_mm:g} mm is less than {_LEAST_PIXELS} pixels at"
            f" {measures.dpi} dpi",
            field="dpi",
        )
    side = (symbol.size + 2 * symbol.border(measures.quiet_zone)) * pixels
    if side > MAX_SIDE:
        raise InvalidValue(
            f"the picture would have {side} pixels a side, more than {MAX_SIDE}",
            field="module_mm",
        )
    return side
