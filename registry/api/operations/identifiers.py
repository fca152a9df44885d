"""Operations of /api/v1/identifiers."""

from __future__ import annotations

from registry.api.bodies import batch
from registry.api.bodies import identifiers as bodies
from registry.api.operations.common import PAGE, POST
from registry.api.operations.model import Answers, Operation, Parameter

TAG = ("Identifiers", "标识")

PARAMETERS = {
    "members": Parameter(
        "query",
        "false: without members of ranges that have no values of their own",
        {"enum": ["true", "false"], "default": "true"},
    ),
    "atomic": Parameter(
        "query",
        "false: what is refused leaves the other operations be",
        {"type": "boolean", "default": True},
    ),
    "suffix": Parameter(
        "path",
        "The rest of the identifier, UTF-8, percent-encoded; plain slashes are allowed. A suffix"
        " that ends in /history, /label, /parts, /proof, /relations or /where-used is written with"
        " %2F before that word, and so is one that holds /relations/ and a kind of relations.",
    ),
}

_ONE = "/api/v1/identifiers/{prefix}/{suffix}"

OPERATIONS = (
    Operation(
        "GET",
        "/api/v1/identifiers",
        "listIdentifiers",
        "List the identifiers of a prefix",
        "标识列表",
        "operator, reviewer, auditor, the enterprise that holds the prefix",
        {200: Answers("A page, in order of their canonical suffixes", bodies.IdentifierPage)},
        parameters=("of_prefix", "members", *PAGE),
        refused=(404,),
    ),
    Operation(
        "PUT",
        _ONE,
        "putIdentifier",
        "Create or replace an identifier",
        "注册或替换标识",
        "operator, the enterprise that holds the prefix",
        {
            201: Answers("Created", bodies.Identifier, headers=("ETag",)),
            200: Answers("Replaced", bodies.Identifier, headers=("ETag",)),
        },
        request=bodies.NewIdentifier,
        parameters=("If-Match", "If-None-Match"),
        refused=(404, 409, 412),
        notes="The prefix must be hosted here and active.",
    ),
    Operation(
        "GET",
        _ONE,
        "getIdentifier",
        "Read an identifier as registered",
        "查询标识",
        "operator, reviewer, auditor, the enterprise that holds the prefix",
        {
            200: Answers("The identifier", bodies.Identifier, headers=("ETag",)),
            304: Answers("Not changed", headers=("ETag",)),
        },
        parameters=("at", "If-Match", "If-None-Match"),
        refused=(404, 412, 422),
        notes="With at: what it said at that moment, with the ETag and the times that it had then;"
        " 404 says since when it is registered, or when it was deleted.",
    ),
    Operation(
        "PATCH",
        _ONE,
        "patchIdentifier",
        "Add, replace or remove single values",
        "修改标识的部分值",
        "operator, the enterprise that holds the prefix",
        {200: Answers("Changed", bodies.Identifier, headers=("ETag",))},
        request=bodies.IdentifierPatch,
        parameters=("If-Match", "If-None-Match"),
        refused=(404, 409, 412),
    ),
    Operation(
        "DELETE",
        _ONE,
        "deleteIdentifier",
        "Delete an identifier; its history stays",
        "删除标识（保留历史）",
        "operator, the enterprise that holds the prefix",
        {204: Answers("Deleted")},
        parameters=("If-Match", "If-None-Match"),
        refused=(404, 409, 412),
    ),
    Operation(
        "GET",
        f"{_ONE}/history",
        "getHistory",
        "List what an identifier said, who wrote it and when, the newest first",
        "标识变更历史",
        "operator, reviewer, auditor, the enterprise that holds the prefix",
        {200: Answers("A page, the present version included", bodies.HistoryPage)},
        parameters=PAGE,
        refused=(404,),
    ),
    Operation(
        "POST",
        "/api/v1/identifiers:batch",
        "changeIdentifiers",
        "Put and delete up to 10 000 identifiers at once",
        "批量注册、替换或删除标识",
        "operator, the enterprise that holds the prefixes",
        {200: Answers("What each operation did", batch.BatchResult)},
        request=batch.Batch,
        request_media=("application/json", "application/x-ndjson"),
        parameters=("atomic", *POST),
        refused=(404, 409, 412),
        group="identifiers",
        notes="One transaction: all or nothing, and a refusal names the operation as"
        " operations[n]. With atomic=false each operation is done or refused by itself, and the"
        " answer says which. At most 8 MiB; NDJSON has an operation a line.",
    ),
)
