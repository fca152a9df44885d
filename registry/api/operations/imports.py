"""Operations of /api/v1/imports."""

from __future__ import annotations

from typing import get_args

from registry.api.bodies import imports as bodies
from registry.api.operations.common import PAGE, POST
from registry.api.operations.model import Answers, Operation, Parameter

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
TAG = ("Imports", "批量导入")

PARAMETERS = {
    "format": Parameter(
        "query",
        "What the file is, whatever its Content-Type",
        {"enum": list(get_args(bodies.Format))},
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
    "import_mode": Parameter(
        "query",
        "upsert: a row replaces what its identifier said before; insert: it is refused where its"
        " identifier is registered already, or stands in an earlier row",
        {"enum": ["upsert", "insert"], "default": "upsert"},
        name="mode",
    ),
    "import_mapping": Parameter(
        "query",
        "The mapping of the columns of a table to the template: the name of one that is kept, or a"
        " Mapping in JSON",
        name="mapping",
    ),
    "dry_run": Parameter(
        "query",
        "Check everything, register nothing: the import ends as checked, with the counts and the"
        " errors that it would have",
        {"type": "boolean", "default": False},
    ),
    "import_state": Parameter(
        "query",
        "Only imports in this state",
        {"enum": list(get_args(bodies.State))},
        name="state",
    ),
    "of_import_prefix": Parameter("query", "Only imports that name this prefix", name="prefix"),
}

OPERATIONS = (
    Operation(
        "POST",
        "/api/v1/imports",
        "createImport",
        "Register many identifiers from a CSV, XLSX or NDJSON file",
        "批量导入标识",
        "operator, enterprise",
        {202: Answers("The file is stored and waits", bodies.Import, headers=("Location",))},
        request_media=("text/csv", "application/x-ndjson", XLSX),
        parameters=(
            "format",
            "import_prefix",
            "import_template",
            "import_mapping",
            "import_mode",
            "dry_run",
            *POST,
        ),
        refused=(409,),
        notes="The body is the file, at most 4 GiB (XLSX: 256 MiB). Each row is registered or"
        " refused on its own; docs/imports.md describes the columns.",
    ),
    Operation(
        "GET",
        "/api/v1/imports",
        "listImports",
        "List imports, the newest first",
        "导入任务列表",
        "operator, auditor; an enterprise sees its own",
        {200: Answers("A page", bodies.ImportPage)},
        parameters=("import_state", "of_import_prefix", *PAGE),
        refused=(422,),
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
        {
            200: Answers(
                "The first 100 000 of them, in Chinese or English by Accept-Language",
                str,
                media_type="text/csv",
            )
        },
        refused=(404,),
    ),
    *(
        Operation(
            "POST",
            f"/api/v1/imports/{{id}}/{step}",
            f"{step}Import",
            summary,
            summary_zh,
            "operator, the enterprise itself; scope imports",
            {200: Answers("The import as it is now", bodies.Import)},
            request=bodies.Nothing,
            request_optional=True,
            parameters=POST,
            refused=(404, 409),
            notes=notes,
        )
        for step, summary, summary_zh, notes in (
            (
                "cancel",
                "Cancel an import that is queued or running",
                "取消导入任务",
                "What is committed stays and is counted; the batch under way is given up. One that"
                " is cancelled already is left as it is.",
            ),
            (
                "resume",
                "Let an import go on that failed or was cancelled",
                "继续导入任务",
                "It goes on behind the last row that was decided; a dry run begins anew. Its file"
                " is kept for 7 days.",
            ),
        )
    ),
)
