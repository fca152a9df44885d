"""Operations of /api/v1/enterprises."""

from __future__ import annotations

from registry.api.bodies import enterprises as bodies
from registry.api.bodies.prefixes import StepReason
from registry.api.operations import attachments, keys
from registry.api.operations.common import PAGE, POST
from registry.api.operations.model import Answers, Operation, Parameter

TAG = ("Enterprises and keys", "企业与密钥")

PARAMETERS = {
    **attachments.PARAMETERS,
    "enterprise_status": Parameter(
        "query",
        "Only enterprises in this state",
        {"enum": ["filed", "under_review", "approved", "rejected", "suspended", "closed"]},
        name="status",
    ),
    "q": Parameter(
        "query",
        "What the name holds, or the credit code begins with",
        {"type": "string", "minLength": 2, "maxLength": 100},
    ),
    "in_industry": Parameter(
        "query", "Only of this industry and what it holds, such as C34", name="industry"
    ),
    "in_region": Parameter(
        "query", "Only of this region and what it holds, such as 350000", name="region"
    ),
    "parent": Parameter("query", "The code whose parts are wanted; left out: the top"),
}
_READERS = "operator, reviewer, auditor, the enterprise itself"


def _step(name: str, english: str, chinese: str, notes: str) -> Operation:
    who = "reviewer, operator" + (", the administrator itself" if name == "refile" else "")
    return Operation(
        "POST",
        f"/api/v1/enterprises/{{id}}/{name}",
        f"{name}Enterprise",
        english,
        chinese,
        who,
        {200: Answers("The enterprise in its new state", bodies.Enterprise)},
        request=StepReason,
        request_optional=True,
        parameters=POST,
        refused=(404, 409),
        notes=notes,
    )


def _codes(path: str, name: str, english: str, chinese: str) -> Operation:
    return Operation(
        "GET",
        path,
        name,
        english,
        chinese,
        "everybody",
        {200: Answers("The codes directly under the parent", bodies.CodeList)},
        parameters=("parent",),
        refused=(404,),
        group="enterprises",
        bearer=False,
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
        parameters=POST,
        refused=(409,),
    ),
    Operation(
        "GET",
        "/api/v1/enterprises",
        "listEnterprises",
        "List enterprises",
        "企业列表",
        "operator, reviewer, auditor; an enterprise sees itself",
        {200: Answers("A page", bodies.EnterprisePage)},
        parameters=("enterprise_status", "q", "in_industry", "in_region", *PAGE),
        refused=(422,),
    ),
    Operation(
        "GET",
        "/api/v1/enterprises/{id}",
        "getEnterprise",
        "Read an enterprise",
        "查询企业",
        _READERS,
        {200: Answers("The enterprise", bodies.Enterprise)},
        refused=(404,),
    ),
    Operation(
        "PUT",
        "/api/v1/enterprises/{id}",
        "changeEnterprise",
        "Correct what is filed of an enterprise",
        "更正企业备案信息",
        "operator, the administrator itself",
        {200: Answers("The enterprise", bodies.Enterprise)},
        request=bodies.NewEnterprise,
        refused=(404, 409),
        notes="The enterprise itself: all while it is filed or rejected, its contact while it is"
        " approved.",
    ),
    Operation(
        "POST",
        "/api/v1/filings",
        "fileEnterprise",
        "File one's own enterprise, with its first administrator",
        "企业自助备案",
        "everybody",
        {201: Answers("Filed: it waits for review", bodies.Filed, headers=("Location",))},
        request=bodies.Filing,
        refused=(409, 429),
        notes="Bounded by source and in total; may be switched off. The administrator signs in at"
        " once.",
        group="enterprises",
        bearer=False,
    ),
    Operation(
        "GET",
        "/api/v1/enterprises/{id}/steps",
        "listEnterpriseSteps",
        "Which steps an enterprise has taken: who, when, why",
        "企业状态变更记录",
        _READERS,
        {200: Answers("A page", bodies.EnterpriseStepPage)},
        parameters=PAGE,
        refused=(404,),
    ),
    _step("review", "Begin to review a filing", "开始审核", "filed -> under_review"),
    _step("approve", "Approve an enterprise", "批准企业", "under_review -> approved"),
    _step(
        "reject",
        "Reject an enterprise",
        "驳回企业",
        "under_review -> rejected. Needs a reason. It may be corrected and filed again.",
    ),
    _step("refile", "File a rejected enterprise again", "重新提交备案", "rejected -> filed"),
    _step(
        "suspend",
        "Suspend an enterprise",
        "暂停企业",
        "approved -> suspended: its keys open nothing, nothing is written under its prefixes, which"
        " go on resolving. Needs a reason.",
    ),
    _step("resume", "Resume an enterprise", "恢复企业", "suspended -> approved"),
    _step(
        "close",
        "Close an enterprise",
        "注销企业",
        "-> closed, which is final: its keys and sessions end, its prefixes are revoked. Needs a"
        " reason.",
    ),
    _codes(
        "/api/v1/industries", "listIndustries", "Industries (GB/T 4754-2017)", "国民经济行业代码"
    ),
    _codes("/api/v1/regions", "listRegions", "Regions (GB/T 2260)", "行政区划代码"),
    *attachments.OPERATIONS,
    *keys.of(
        "/api/v1/enterprises",
        "",
        writers="operator, the enterprise itself",
        readers="operator, reviewer, auditor, the enterprise itself",
    ),
)
