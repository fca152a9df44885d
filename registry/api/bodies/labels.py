"""Bodies of /api/v1/labels, and the parameters of a label of one identifier."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from registry.labels.pictures import MAX_QUIET_ZONE, MODULE_MM
from registry.labels.selection import MAX_LABELS

Kind = Literal["qr", "datamatrix"]
Level = Annotated[
    Literal["l", "m", "q", "h"] | None,
    Meta(
        description="Error correction of QR: about 7, 15, 25 or 30 % of the symbol may be lost;"
        " m if none is given. Data Matrix has one level, ECC 200"
    ),
]
QuietZone = Annotated[
    Annotated[int, Meta(ge=1, le=MAX_QUIET_ZONE)] | None,
    Meta(description="Light margin in modules; at least 4 for QR and 1 for Data Matrix"),
]
Module = Annotated[
    float, Meta(ge=MODULE_MM[0], le=MODULE_MM[1], description="Side of a module in mm")
]
Dpi = Annotated[int, Meta(ge=72, le=2400, description="Pixels an inch, of a PNG")]
Margin = Annotated[float, Meta(ge=0, le=100)]


class Label(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How one label is drawn."""

    format: Literal["svg", "png"] = "svg"
    symbol: Kind = "qr"
    level: Level = None
    module_mm: Module = 0.5
    dpi: Dpi = 300
    quiet_zone: QuietZone = None


class LabelRange(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Identifiers with consecutive numbers: SN-0001 to SN-0500."""

    prefix: str
    first: Annotated[str, Meta(description="Suffix that ends in a number")]
    last: Annotated[str, Meta(description="Suffix with as many digits")]


class Sheet(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How labels stand on A4, in mm. By default 24 of 63.5 mm by 33.9 mm."""

    columns: Annotated[int, Meta(ge=1, le=20)] = 3
    rows: Annotated[int, Meta(ge=1, le=28)] = 8
    margin_x: Margin = 7.25
    margin_y: Margin = 12.9
    gap_x: Margin = 2.5
    gap_y: Margin = 0.0
    start: Annotated[
        int, Meta(ge=1, le=560, description="Place of the first label on the first sheet")
    ] = 1


class NewLabels(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which labels, and how: a list of identifiers or a range, as a PDF or as a ZIP of pictures."""

    identifiers: Annotated[list[str], Meta(min_length=1, max_length=MAX_LABELS)] | None = None
    range: LabelRange | None = None
    format: Literal["pdf", "svg", "png"] = "pdf"
    symbol: Kind = "qr"
    level: Level = None
    module_mm: Annotated[
        Annotated[float, Meta(ge=MODULE_MM[0], le=MODULE_MM[1])] | None,
        Meta(description="Side of a module in mm, of pictures; on a sheet it is as fits"),
    ] = None
    dpi: Annotated[
        Annotated[int, Meta(ge=72, le=2400)] | None, Meta(description="Pixels an inch, of a PNG")
    ] = None
    quiet_zone: QuietZone = None
    sheet: Sheet | None = None
