"""Operations of labels: of one identifier, and of many."""

from __future__ import annotations

from registry.api.bodies import labels as bodies
from registry.api.operations.model import Answers, Operation, Parameter
from registry.labels.pictures import MAX_QUIET_ZONE, MODULE_MM
from registry.labels.selection import MAX_LABELS

TAG = ("Labels", "标签")

PARAMETERS = {
    "label_format": Parameter(
        "query", "Kind of picture", {"enum": ["svg", "png"], "default": "svg"}, name="format"
    ),
    "symbol": Parameter("query", "Symbol", {"enum": ["qr", "datamatrix"], "default": "qr"}),
    "level": Parameter(
        "query",
        "Error correction of QR: about 7, 15, 25 or 30 % of the symbol may be lost. Data Matrix"
        " has one level, ECC 200",
        {"enum": ["l", "m", "q", "h"]},
    ),
    "module_mm": Parameter(
        "query",
        "Side of a module in mm",
        {"type": "number", "minimum": MODULE_MM[0], "maximum": MODULE_MM[1], "default": 0.5},
    ),
    "dpi": Parameter(
        "query",
        "Pixels an inch, of a PNG",
        {"type": "integer", "minimum": 72, "maximum": 2400, "default": 300},
    ),
    "quiet_zone": Parameter(
        "query",
        "Light margin in modules; at least 4 for QR and 1 for Data Matrix",
        {"type": "integer", "minimum": 1, "maximum": MAX_QUIET_ZONE},
    ),
}

_READERS = "operator, reviewer, auditor, the enterprise that holds the prefix; scope labels"

OPERATIONS = (
    Operation(
        "GET",
        "/api/v1/identifiers/{prefix}/{suffix}/label",
        "getLabel",
        "Draw the label of an identifier",
        "生成标识的二维码",
        _READERS,
        {
            200: Answers(
                "The picture",
                str,
                media_type="image/svg+xml",
                others=("image/png",),
                headers=("Idnode-Notice",),
            )
        },
        parameters=tuple(PARAMETERS),
        refused=(404, 409, 422),
        notes="It says the public address at which the identifier resolves.",
    ),
    Operation(
        "POST",
        "/api/v1/labels",
        "makeLabels",
        "Make labels of many identifiers",
        "批量生成标签",
        _READERS,
        {
            200: Answers(
                "Sheets to print, or pictures in the order of the identifiers",
                str,
                media_type="application/pdf",
                others=("application/zip",),
                headers=("Idnode-Notice",),
            )
        },
        request=bodies.NewLabels,
        refused=(404, 409),
        notes=f"At most {MAX_LABELS} labels, of identifiers that are registered. Nothing is kept.",
    ),
)
