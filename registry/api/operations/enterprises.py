"""Operations of /api/v1/enterprises."""

from __future__ import annotations

from registry.api.bodies import enterprises as bodies
from registry.api.operations import keys
from registry.api.operations.common import PAGE, POST
from registry.api.operations.model import Answers, Operation, Parameter

TAG = ("Enterprises and keys", "企业与密钥")

PARAMETERS: dict[str, Parameter] = {}

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
        parameters=PAGE,
    ),
    Operation(
        "GET",
        "/api/v1/enterprises/{id}",
        "getEnterprise",
        "Read an enterprise",
        "查询企业",
        "operator, reviewer, auditor, the enterprise itself",
        {200: Answers("The enterprise", bodies.Enterprise)},
        refused=(404,),
    ),
    *keys.of(
        "/api/v1/enterprises",
        "",
        writers="operator, the enterprise itself",
        readers="operator, reviewer, auditor, the enterprise itself",
    ),
)
