"""Operations of /api/v1/groups and /api/v1/shared."""

from __future__ import annotations

from registry.api.bodies import groups as bodies
from registry.api.operations.common import PAGE
from registry.api.operations.model import Answers, Operation, Parameter

TAG = ("Groups of partners, and what is shared", "合作方分组与共享")

PARAMETERS = {
    "group": Parameter("path", "Name of the group: a-z, 0-9, and between these . _ -"),
    "group_owner": Parameter(
        "query",
        "Whose groups; left out: the caller's own",
        {"type": "string", "format": "uuid"},
        name="enterprise_id",
    ),
}

_ONE = "/api/v1/groups/{group}"
_READERS = "operator, reviewer, auditor, the enterprise itself (scope identifiers:read)"
_WRITERS = "operator, the enterprise itself (scope identifiers:write)"

OPERATIONS = (
    Operation(
        "GET",
        "/api/v1/groups",
        "listGroups",
        "List the groups of an enterprise",
        "合作方分组列表",
        _READERS,
        {200: Answers("A page, by name", bodies.GroupPage)},
        parameters=("group_owner", *PAGE),
    ),
    Operation(
        "GET",
        _ONE,
        "getGroup",
        "Read a group",
        "查询合作方分组",
        _READERS,
        {
            200: Answers("The group", bodies.Group, headers=("ETag",)),
            304: Answers("Not changed", headers=("ETag",)),
        },
        parameters=("group_owner", "If-Match", "If-None-Match"),
        refused=(404, 412),
    ),
    Operation(
        "PUT",
        _ONE,
        "putGroup",
        "Create or replace a group of partners",
        "创建或替换合作方分组",
        _WRITERS,
        {
            201: Answers("Created", bodies.Group, headers=("ETag",)),
            200: Answers("Replaced", bodies.Group, headers=("ETag",)),
        },
        request=bodies.NewGroup,
        parameters=("group_owner", "If-Match", "If-None-Match"),
        refused=(404, 409, 412),
        notes="Values whose access names group:NAME are shown to its members from now on, and to"
        " nobody who was one. The group partners is the one that access means without a name.",
    ),
    Operation(
        "DELETE",
        _ONE,
        "deleteGroup",
        "Delete a group of partners",
        "删除合作方分组",
        _WRITERS,
        {204: Answers("Deleted")},
        parameters=("group_owner", "If-Match", "If-None-Match"),
        refused=(404, 412),
    ),
    Operation(
        "GET",
        "/api/v1/shared/{prefix}/{suffix}",
        "getShared",
        "Read what an identifier of any enterprise shows to the caller",
        "查询他人共享给本方的标识值",
        "everybody with a bearer token (scope identifiers:read)",
        {200: Answers("Its public values and those shared with the caller", bodies.Shared)},
        refused=(404,),
        group="groups",
        notes="404 where there is nothing for the caller to see, whether or not there is something"
        " for others.",
    ),
)
