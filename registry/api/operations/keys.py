"""Operations of the keys of an enterprise or an account, which are alike."""

from __future__ import annotations

from registry.api.bodies import keys as bodies
from registry.api.operations.common import PAGE, POST, UUID
from registry.api.operations.model import Answers, Operation, Parameter

PARAMETERS = {"key_id": Parameter("path", "Id of the key", UUID)}

_ONCE = "A repeated answer (Idempotency-Key) does not show the key again: it is not stored."


def of(base: str, owner: str, *, writers: str, readers: str) -> tuple[Operation, ...]:
    """Return the operations on the keys of what stands at `base`/{id}.

    owner: "" or what the operation ids end with.
    """
    path = f"{base}/{{id}}/keys"
    return (
        Operation(
            "POST",
            path,
            f"issue{owner}Key",
            "Issue a key",
            "签发密钥",
            writers,
            {201: Answers("Issued; the key is shown this once", bodies.IssuedKey)},
            request=bodies.NewKey,
            request_optional=True,
            parameters=POST,
            refused=(404, 409),
            notes=f"A key gives no scope that its issuer does not have. {_ONCE}",
        ),
        Operation(
            "GET",
            path,
            f"list{owner}Keys",
            "List keys, without their secrets",
            "密钥列表（不含密钥内容）",
            readers,
            {200: Answers("A page", bodies.KeyPage)},
            parameters=PAGE,
            refused=(404,),
        ),
        Operation(
            "DELETE",
            f"{path}/{{key_id}}",
            f"revoke{owner}Key",
            "Revoke a key at once",
            "吊销密钥",
            writers,
            {204: Answers("Revoked, now or before")},
            refused=(404,),
        ),
        Operation(
            "POST",
            f"{path}/{{key_id}}/rotate",
            f"rotate{owner}Key",
            "Replace a key; the old one goes on for a while",
            "轮换密钥（旧密钥在宽限期内仍有效）",
            writers,
            {201: Answers("Issued; the key is shown this once", bodies.IssuedKey)},
            request=bodies.KeyRotation,
            request_optional=True,
            parameters=POST,
            refused=(404, 409),
            notes=f"The new key has the label and the scopes of the old one. {_ONCE}",
        ),
    )
