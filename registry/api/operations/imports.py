"""Operations of /api/v1/imports."""

from __future__ import annotations

from registry.api.bodies import imports as bodies
from registry.api.operations.common import PAGE, POST
from registry.api.operations.model import Answers, Operation, Parameter

TAG = ("Imports", "批量导入")

PARAMETERS = {
    "format": Parameter(
        "query", "What the file is, whatever its Content-Type", {"enum": ["csv", "ndjson"]}
    ),
    "import_prefix": Parameter(
        "query",
        "The prefix that bare suffixes stand under, and that full identifiers must have",
        name="prefix",
    ),
    "import_template": Parameter(
        "query",
        "The template of the prefix, NAME or NAME/VERSION, by which rows are checked that name"
        " none themselves",
        name="template",
    ),
}

OPERATIONS = (
    Operation(
        "POST",
        "/api/v1/imports",
        "createImport",
        "Register many identifiers from a CSV or NDJSON file",
        "批量导入标识",
        "operator, enterprise",
        {202: Answers("The file is stored and waits", bodies.Import, headers=("Location",))},
        request_media=("text/csv", "application/x-ndjson"),
        parameters=("format", "import_prefix", "import_template", *POST),
        refused=(409,),
        notes="The body is the file, at most 4 GiB. Each row is registered or refused on its own;"
        " docs/imports.md describes the columns.",
    ),
    Operation(
        "GET",
        "/api/v1/imports",
        "listImports",
        "List imports, the newest first",
        "导入任务列表",
        "operator, auditor; an enterprise sees its own",
        {200: Answers("A page", bodies.ImportPage)},
        parameters=PAGE,
    ),
    Operation(
        "GET",
        "/api/v1/imports/{id}",
        "getImport",
        "Read the progress of an import",
        "查询导入进度",
        "operator, auditor, the enterprise itself",
        {200: Answers("The import", bodies.Import)},
        refused=(404,),
    ),
    Operation(
        "GET",
        "/api/v1/imports/{id}/errors",
        "getImportErrors",
        "List refused rows as CSV: row, column, reason",
        "下载导入错误清单",
        "operator, auditor, the enterprise itself",
        {200: Answers("The first 100 000 of them", str, media_type="text/csv")},
        refused=(404,),
    ),
)
