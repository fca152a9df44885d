"""Operations of /api/v1/exports."""

from __future__ import annotations

from registry.api.operations.imports import XLSX
from registry.api.operations.model import Answers, Operation, Parameter

TAG = ("Exports", "批量导出")

PARAMETERS = {
    "export_format": Parameter(
        "query",
        "ndjson says all, and an import takes it back; csv and xlsx are for spreadsheets",
        {"enum": ["ndjson", "csv", "xlsx"], "default": "ndjson"},
        name="format",
    ),
}

OPERATIONS = (
    Operation(
        "GET",
        "/api/v1/exports/identifiers",
        "exportIdentifiers",
        "Export all identifiers of a prefix",
        "导出前缀下的全部标识",
        "operator, reviewer, auditor, the enterprise that holds the prefix",
        {
            200: Answers(
                "The file, as everything was at one moment",
                str,
                media_type="application/x-ndjson",
                others=("text/csv", XLSX),
            )
        },
        parameters=("of_prefix", "export_format", "members"),
        refused=(404, 409, 422, 503),
        notes="Sent while it is read; a client that takes nothing for 30 s is cut off. A connection"
        " that ends within the body has not sent all.",
    ),
)
