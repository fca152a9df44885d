"""Operations of /api/v1/templates."""

from __future__ import annotations

from registry.api.bodies import templates as bodies
from registry.api.operations.common import PAGE, POST
from registry.api.operations.model import Answers, Operation, Parameter
from registry.templates.definition import Definition

TAG = ("Templates", "数据模板")

PARAMETERS = {
    "template": Parameter("path", "Name of a template, percent-encoded"),
    "version": Parameter(
        "path", "Number of a version; to read, also latest: the newest that is published"
    ),
    "template_prefix": Parameter("query", "Only templates of this prefix", name="prefix"),
    "template_state": Parameter(
        "query",
        "Only versions in this state",
        {"enum": ["draft", "published", "withdrawn"]},
        name="state",
    ),
}

_BASE = "/api/v1/templates"
_NAMED = f"{_BASE}/{{prefix}}/{{template}}"
_ONE = f"{_NAMED}/{{version}}"
_WRITERS = "operator, the enterprise that holds the prefix; scope templates"
_READERS = "operator, reviewer, auditor, the enterprise that holds the prefix; scope templates"

OPERATIONS = (
    Operation(
        "POST",
        _BASE,
        "createTemplate",
        "Make a template; its first version is a draft",
        "新建数据模板（草稿）",
        _WRITERS,
        {201: Answers("Made", bodies.Template, headers=("Location", "ETag"))},
        request=bodies.NewTemplate,
        parameters=POST,
        refused=(409,),
        notes="The prefix must be hosted here and active.",
    ),
    Operation(
        "GET",
        _BASE,
        "listTemplates",
        "List versions of templates, by prefix, name and version",
        "数据模板列表",
        "operator, reviewer, auditor; an enterprise sees its own; scope templates",
        {200: Answers("A page", bodies.TemplatePage)},
        parameters=("template_prefix", "template_state", *PAGE),
    ),
    Operation(
        "GET",
        _NAMED,
        "listTemplateVersions",
        "List the versions of a template, the newest first",
        "数据模板版本列表",
        _READERS,
        {200: Answers("A page", bodies.TemplatePage)},
        parameters=PAGE,
        refused=(404,),
    ),
    Operation(
        "POST",
        _NAMED,
        "draftTemplateVersion",
        "Make the draft of the next version",
        "新建模板的下一版本（草稿）",
        _WRITERS,
        {201: Answers("Made", bodies.Template, headers=("Location", "ETag"))},
        request=Definition,
        request_optional=True,
        parameters=POST,
        refused=(404, 409),
        notes="Without a body it says what the newest version says. A template has one draft at a"
        " time.",
    ),
    Operation(
        "GET",
        _ONE,
        "getTemplate",
        "Read a version of a template",
        "查询数据模板",
        _READERS,
        {
            200: Answers("The version", bodies.Template, headers=("ETag",)),
            304: Answers("Not changed", headers=("ETag",)),
        },
        parameters=("If-Match", "If-None-Match"),
        refused=(404, 412),
    ),
    Operation(
        "PUT",
        _ONE,
        "replaceTemplate",
        "Say anew what a draft says",
        "修改模板草稿",
        _WRITERS,
        {200: Answers("Changed", bodies.Template, headers=("ETag",))},
        request=Definition,
        parameters=("If-Match", "If-None-Match"),
        refused=(404, 409, 412),
    ),
    Operation(
        "DELETE",
        _ONE,
        "deleteTemplate",
        "Delete a draft",
        "删除模板草稿",
        _WRITERS,
        {204: Answers("Deleted")},
        parameters=("If-Match", "If-None-Match"),
        refused=(404, 409, 412),
    ),
    Operation(
        "POST",
        f"{_ONE}/publish",
        "publishTemplate",
        "Publish a draft: identifiers may be registered by it, and it resolves",
        "发布数据模板",
        _WRITERS,
        {200: Answers("Published", bodies.Template, headers=("ETag",))},
        parameters=POST,
        refused=(404, 409, 422),
        notes="A published version never changes. An index keeps its type in all of them.",
    ),
    Operation(
        "POST",
        f"{_ONE}/withdraw",
        "withdrawTemplate",
        "Withdraw a published version, for good",
        "停用数据模板",
        _WRITERS,
        {200: Answers("Withdrawn", bodies.Template, headers=("ETag",))},
        request=bodies.WithdrawalReason,
        parameters=POST,
        refused=(404, 409),
        notes="Nothing new is registered by it; the identifiers that it has stay held to it.",
    ),
)
