"""Operations of /api/v1/enterprises."""

from __future__ import annotations

from registry.api.bodies import enterprises as bodies
from registry.api.operations.common import PAGE, POST, UUID
from registry.api.operations.model import Answers, Operation, Parameter

TAG = ("Enterprises and keys", "企业与密钥")

PARAMETERS = {
    "key_id": Parameter("path", "Id of the key", UUID),
}

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
        "operator, reviewer; an enterprise sees itself",
        {200: Answers("A page", bodies.EnterprisePage)},
        parameters=PAGE,
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
        parameters=POST,
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
        parameters=PAGE,
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
)
