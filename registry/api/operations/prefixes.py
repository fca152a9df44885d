"""Operations of /api/v1/prefixes."""

from __future__ import annotations

from registry.api.bodies import prefixes as bodies
from registry.api.operations import numbers, sites, transfers
from registry.api.operations.common import PAGE, POST
from registry.api.operations.model import Answers, Operation, Parameter

TAG = ("Prefixes", "前缀")

PARAMETERS = {
    **numbers.PARAMETERS,
    **transfers.PARAMETERS,
    "hosting": Parameter("query", "Only prefixes served so", {"enum": ["hosted", "delegated"]}),
    "beginning": Parameter("query", "Only prefixes that begin so, such as 88.118.3", name="q"),
    "status": Parameter(
        "query",
        "Only prefixes in this state",
        {"enum": ["pending", "active", "rejected", "suspended", "revoked"]},
    ),
}


def _step(name: str, chinese: str, from_to: str) -> Operation:
    return Operation(
        "POST",
        f"/api/v1/prefixes/{{prefix}}/{name}",
        f"{name}Prefix",
        f"{name.capitalize()} a prefix",
        chinese,
        "reviewer, operator",
        {200: Answers("The prefix in its new state", bodies.Prefix)},
        request=bodies.Approval if name == "approve" else bodies.StepReason,
        request_optional=True,
        parameters=POST,
        refused=(404, 409),
        notes=from_to,
    )


OPERATIONS = (
    Operation(
        "POST",
        "/api/v1/prefixes",
        "applyForPrefix",
        "Apply for a prefix",
        "申请前缀",
        "operator, the enterprise itself",
        {201: Answers("It waits for approval", bodies.Prefix, headers=("Location",))},
        request=bodies.NewPrefix,
        parameters=POST,
        refused=(404, 409),
    ),
    *numbers.OPERATIONS,
    Operation(
        "GET",
        "/api/v1/prefixes",
        "listPrefixes",
        "List prefixes",
        "前缀列表",
        "operator, reviewer, auditor; an enterprise sees its own",
        {200: Answers("A page", bodies.PrefixPage)},
        parameters=("status", "hosting", "of_enterprise", "beginning", *PAGE),
    ),
    Operation(
        "GET",
        "/api/v1/prefixes/{prefix}",
        "getPrefix",
        "Read a prefix",
        "查询前缀",
        "operator, reviewer, auditor, the enterprise itself",
        {200: Answers("The prefix", bodies.Prefix)},
        refused=(404,),
    ),
    Operation(
        "GET",
        "/api/v1/prefixes/{prefix}/steps",
        "listPrefixSteps",
        "What became of a prefix: who took which step, when, why",
        "前缀状态变更记录",
        "operator, reviewer, auditor, the enterprise itself",
        {200: Answers("A page", bodies.PrefixStepPage)},
        parameters=PAGE,
        refused=(404,),
    ),
    *sites.OPERATIONS,
    *transfers.OPERATIONS,
    _step(
        "approve",
        "批准前缀",
        "pending -> active. The site of a delegated prefix must have passed a check.",
    ),
    _step("reject", "驳回前缀", "pending -> rejected, which is final. Needs a reason."),
    _step("suspend", "暂停前缀", "active -> suspended: it stops resolving. Needs a reason."),
    _step("resume", "恢复前缀", "suspended -> active"),
    _step("revoke", "注销前缀", "active or suspended -> revoked, which is final. Needs a reason."),
)
