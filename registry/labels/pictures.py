"""One symbol as a picture: SVG in millimetres, or PNG in whole pixels a module."""

from __future__ import annotations

import html
import io
from dataclasses import dataclass

from PIL import Image

from protocol.errors import InvalidValue
from registry.labels.symbols import Symbol, row_octets

SVG, PNG = "svg", "png"
MEDIA_TYPES = {SVG: "image/svg+xml", PNG: "image/png"}

MODULE_MM = (0.25, 5.0)
"""Smallest and largest module: 0.25 mm is three dots of a 300 dpi label printer."""

MAX_QUIET_ZONE = 20
MAX_PIXELS = 8192
"""Longest side of a PNG."""

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
    pixels = round(measures.module_mm * measures.dpi / _MM_PER_INCH)
    if pixels < _LEAST_PIXELS:
        raise InvalidValue(
            f"a module of {measures.module_mm:g} mm is less than {_LEAST_PIXELS} pixels at"
            f" {measures.dpi} dpi",
            field="dpi",
        )
    border = symbol.border(measures.quiet_zone)
    side = (symbol.size + 2 * border) * pixels
    if side > MAX_PIXELS:
        raise InvalidValue(
            f"the picture would have {side} pixels a side, more than {MAX_PIXELS}",
            field="module_mm",
        )
    square = (symbol.size, symbol.size)
    # inverted, as dark is 0 in a picture; reversed, as the leftmost is the lowest bit
    small = Image.frombytes("1", square, symbol.modules, "raw", ("1;IR", row_octets(symbol.size)))
    picture = Image.new("1", (side, side), 1)
    inner = symbol.size * pixels
    picture.paste(
        small.resize((inner, inner), Image.Resampling.NEAREST), (border * pixels, border * pixels)
    )
    written = io.BytesIO()
    picture.save(written, "PNG", dpi=(measures.dpi, measures.dpi), optimize=False)
    return written.getvalue()
