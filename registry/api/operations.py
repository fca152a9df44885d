"""The table of operations: what the OpenAPI document says of each route beside its bodies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from registry.api import bodies


@dataclass(frozen=True)
class Answers:
    """One answer: what it means and its body; without a body where `body` is None."""

    means: str
    body: Any = None
    media_type: str = "application/json"
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    who: which roles may. request: the struct of the JSON body. parameters: names in PARAMETERS.
    refused: the statuses with which it may be refused, beside those of every operation.
    """

    method: str
    path: str
    name: str
    summary: str
    summary_zh: str
    who: str
    answers: dict[int, Answers]
    request: Any = None
    request_optional: bool = False
    request_media: tuple[str, ...] = ("application/json",)
    parameters: tuple[str, ...] = ()
    refused: tuple[int, ...] = ()
    notes: str = ""

    @property
    def tag(self) -> str:
        """The resource it belongs to: the first part of the path after /api/v1."""
        return self.path.split("/")[3]


@dataclass(frozen=True)
class Parameter:
    """A parameter in the path, the query or a header.

    name: where it is not its key in PARAMETERS.
    """

    where: str
    description: str
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})
    name: str | None = None


TAGS = {
    "enterprises": ("Enterprises and keys", "企业与密钥"),
    "prefixes": ("Prefixes", "前缀"),
    "identifiers": ("Identifiers", "标识"),
    "imports": ("Imports", "批量导入"),
}

_UUID = {"type": "string", "format": "uuid"}

PARAMETERS = {
    "id": Parameter("path", "Id of the resource", _UUID),
    "key_id": Parameter("path", "Id of the key", _UUID),
    "prefix": Parameter("path", "Prefix, such as 88.118.35"),
    "suffix": Parameter(
        "path",
        "The rest of the identifier, UTF-8, percent-encoded; plain slashes are allowed. A suffix"
        " that ends in /history or /proof is written with %2Fhistory or %2Fproof at its end.",
    ),
    "cursor": Parameter("query", "next of the page before"),
    "limit": Parameter(
        "query",
        "Items on a page",
        {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
    ),
    "status": Parameter(
        "query",
        "Only prefixes in this state",
        {"enum": ["pending", "active", "rejected", "suspended", "revoked"]},
    ),
    "format": Parameter(
        "query", "What the file is, whatever its Content-Type", {"enum": ["csv", "ndjson"]}
    ),
    "import_prefix": Parameter(
        "query",
        "The prefix that bare suffixes stand under, and that full identifiers must have",
        name="prefix",
    ),
    "Idempotency-Key": Parameter(
        "header",
        "1 to 255 visible ASCII characters. The same request with the same key has one effect and"
        " gets the first answer again, for 24 hours, with Idempotency-Replayed: true; another"
        " request with the same key is refused with 422.",
    ),
    "If-Match": Parameter("header", "Write only if the ETag is one of these, or * if it is there"),
    "If-None-Match": Parameter(
        "header", "* writes only what is not there; with GET: 304 if the ETag is one of these"
    ),
}

_PAGE = ("cursor", "limit")
_ONE = "/api/v1/identifiers/{prefix}/{suffix}"
_POST = ("Idempotency-Key",)


def _step(name: str, chinese: str, from_to: str) -> Operation:
    return Operation(
        "POST",
        f"/api/v1/prefixes/{{prefix}}/{name}",
        f"{name}Prefix",
        f"{name.capitalize()} a prefix",
        chinese,
        "reviewer, operator",
        {200: Answers("The prefix in its new state", bodies.Prefix)},
        request=bodies.StepReason,
        request_optional=True,
        parameters=_POST,
        refused=(404, 409),
        notes=from_to,
    )


OPERATIONS = (
    Operation(
        "POST",
        "/api/v1/enterprises",
        "createEnterprise",
        "Register an enterprise",
        "登记企业",
        "operator",
        {201: Answers("Registered", bodies.Enterprise, headers=("Location",))},
        request=bodies.NewEnterprise,
        parameters=_POST,
        refused=(409,),
    ),
    Operation(
        "GET",
        "/api/v1/enterprises",
        "listEnterprises",
        "List enterprises",
        "企业列表",
        "operator, reviewer; an enterprise sees itself",
        {200: Answers("A page", bodies.EnterprisePage)},
        parameters=_PAGE,
    ),
    Operation(
        "GET",
        "/api/v1/enterprises/{id}",
        "getEnterprise",
        "Read an enterprise",
        "查询企业",
        "operator, reviewer, the enterprise itself",
        {200: Answers("The enterprise", bodies.Enterprise)},
        refused=(404,),
    ),
    Operation(
        "POST",
        "/api/v1/enterprises/{id}/keys",
        "issueKey",
        "Issue a key",
        "签发密钥",
        "operator, the enterprise itself",
        {201: Answers("Issued; the key is shown this once", bodies.IssuedKey)},
        request=bodies.NewKey,
        request_optional=True,
        parameters=_POST,
        refused=(404, 409),
        notes="A repeated answer (Idempotency-Key) does not show the key again: it is not stored.",
    ),
    Operation(
        "GET",
        "/api/v1/enterprises/{id}/keys",
        "listKeys",
        "List keys, without their secrets",
        "密钥列表（不含密钥内容）",
        "operator, reviewer, the enterprise itself",
        {200: Answers("A page", bodies.KeyPage)},
        parameters=_PAGE,
        refused=(404,),
    ),
    Operation(
        "DELETE",
        "/api/v1/enterprises/{id}/keys/{key_id}",
        "revokeKey",
        "Revoke a key at once",
        "吊销密钥",
        "operator, the enterprise itself",
        {204: Answers("Revoked, now or before")},
        refused=(404,),
    ),
    Operation(
        "POST",
        "/api/v1/prefixes",
        "applyForPrefix",
        "Apply for a prefix",
        "申请前缀",
        "operator, the enterprise itself",
        {201: Answers("It waits for approval", bodies.Prefix, headers=("Location",))},
        request=bodies.NewPrefix,
        parameters=_POST,
        refused=(404, 409),
    ),
    Operation(
        "GET",
        "/api/v1/prefixes",
        "listPrefixes",
        "List prefixes",
        "前缀列表",
        "operator, reviewer; an enterprise sees its own",
        {200: Answers("A page", bodies.PrefixPage)},
        parameters=("status", *_PAGE),
    ),
    Operation(
        "GET",
        "/api/v1/prefixes/{prefix}",
        "getPrefix",
        "Read a prefix",
        "查询前缀",
        "operator, reviewer, the enterprise itself",
        {200: Answers("The prefix", bodies.Prefix)},
        refused=(404,),
    ),
    _step("approve", "批准前缀", "pending -> active"),
    _step("reject", "驳回前缀", "pending -> rejected, which is final. Needs a reason."),
    _step("suspend", "暂停前缀", "active -> suspended: it stops resolving. Needs a reason."),
    _step("resume", "恢复前缀", "suspended -> active"),
    _step("revoke", "注销前缀", "active or suspended -> revoked, which is final. Needs a reason."),
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
        "operator, reviewer, the enterprise that holds the prefix",
        {
            200: Answers("The identifier", bodies.Identifier, headers=("ETag",)),
            304: Answers("Not changed", headers=("ETag",)),
        },
        parameters=("If-Match", "If-None-Match"),
        refused=(404, 412),
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
        "List what an identifier said, the newest first",
        "标识变更历史",
        "operator, reviewer, the enterprise that holds the prefix",
        {200: Answers("A page, the present version included", bodies.HistoryPage)},
        parameters=_PAGE,
        refused=(404,),
    ),
    Operation(
        "POST",
        "/api/v1/imports",
        "createImport",
        "Register many identifiers from a CSV or NDJSON file",
        "批量导入标识",
        "operator, enterprise",
        {202: Answers("The file is stored and waits", bodies.Import, headers=("Location",))},
        request_media=("text/csv", "application/x-ndjson"),
        parameters=("format", "import_prefix", *_POST),
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
        "operator; an enterprise sees its own",
        {200: Answers("A page", bodies.ImportPage)},
        parameters=_PAGE,
    ),
    Operation(
        "GET",
        "/api/v1/imports/{id}",
        "getImport",
        "Read the progress of an import",
        "查询导入进度",
        "operator, the enterprise itself",
        {200: Answers("The import", bodies.Import)},
        refused=(404,),
    ),
    Operation(
        "GET",
        "/api/v1/imports/{id}/errors",
        "getImportErrors",
        "List refused rows as CSV: row, column, reason",
        "下载导入错误清单",
        "operator, the enterprise itself",
        {200: Answers("The first 100 000 of them", str, media_type="text/csv")},
        refused=(404,),
    ),
)
