"""Operations of /api/v1/ranges."""

from __future__ import annotations

from registry.api.bodies import ranges as bodies
from registry.api.operations.common import PAGE, POST
from registry.api.operations.model import Answers, Operation, Parameter

TAG = ("Ranges", "号段")

PARAMETERS = {
    "of_prefix": Parameter("query", "The prefix, such as 88.118.35", name="prefix", required=True),
}

_ONE = "/api/v1/ranges/{prefix}/{id}"

OPERATIONS = (
    Operation(
        "POST",
        "/api/v1/ranges",
        "createRange",
        "Register all identifiers of a range of numbers",
        "登记号段（一次登记全部标识）",
        "operator, the enterprise that holds the prefix (scope identifiers:write)",
        {201: Answers("Each of them exists now", bodies.Range, headers=("Location", "ETag"))},
        request=bodies.NewRange,
        parameters=POST,
        refused=(404, 409),
        notes="Identifiers of the range that are registered already keep what they say. One that is"
        " written to gets values of its own; one that is deleted is out of the range. Ranges of a"
        " prefix do not overlap.",
    ),
    Operation(
        "GET",
        "/api/v1/ranges",
        "listRanges",
        "List the ranges of a prefix",
        "号段列表",
        "operator, reviewer, auditor, the enterprise that holds the prefix",
        {200: Answers("A page", bodies.RangePage)},
        parameters=("of_prefix", *PAGE),
        refused=(404,),
    ),
    Operation(
        "GET",
        _ONE,
        "getRange",
        "Read a range",
        "查询号段",
        "operator, reviewer, auditor, the enterprise that holds the prefix",
        {
            200: Answers("The range", bodies.Range, headers=("ETag",)),
            304: Answers("Not changed", headers=("ETag",)),
        },
        parameters=("If-Match", "If-None-Match"),
        refused=(404, 412),
    ),
    Operation(
        "PUT",
        _ONE,
        "putRange",
        "Replace what the members of a range say",
        "修改号段的共享值",
        "operator, the enterprise that holds the prefix (scope identifiers:write)",
        {200: Answers("Replaced", bodies.Range, headers=("ETag",))},
        request=bodies.RangeValues,
        parameters=("If-Match",),
        refused=(404, 409, 412),
        notes="Members with values of their own keep them.",
    ),
    Operation(
        "DELETE",
        _ONE,
        "deleteRange",
        "End a range",
        "删除号段",
        "operator, the enterprise that holds the prefix (scope identifiers:write)",
        {204: Answers("Its members without values of their own exist no more")},
        parameters=("If-Match",),
        refused=(404, 409, 412),
    ),
)
