"""Operations of transfers of prefixes."""

from __future__ import annotations

from registry.api.bodies import transfers as bodies
from registry.api.operations.common import PAGE, POST
from registry.api.operations.model import Answers, Operation, Parameter

_AT = "/api/v1/prefixes/{prefix}/transfer"

PARAMETERS = {
    "transfer_prefix": Parameter("query", "Only of this prefix", name="prefix"),
    "transfer_state": Parameter(
        "query", "Only in this state", {"enum": ["offered", "done", "ended"]}, name="state"
    ),
}

OPERATIONS = (
    Operation(
        "POST",
        _AT,
        "transferPrefix",
        "Give a prefix to another enterprise, or offer it",
        "转移前缀（或发起转移）",
        "operator, at once; an administrator of the holder, whose offer the other accepts",
        {200: Answers("The transfer", bodies.Transfer)},
        request=bodies.NewTransfer,
        parameters=POST,
        refused=(404, 409),
        notes="Keys and accounts of the old holder open nothing under it any more.",
    ),
    Operation(
        "POST",
        f"{_AT}/accept",
        "acceptPrefix",
        "Take a prefix that is offered",
        "接受前缀转移",
        "an administrator of the enterprise that it is offered to",
        {200: Answers("The transfer", bodies.Transfer)},
        parameters=POST,
        refused=(404, 409),
    ),
    Operation(
        "DELETE",
        _AT,
        "endPrefixOffer",
        "Withdraw or decline an offer",
        "撤回或拒绝前缀转移",
        "operator, administrators of both enterprises",
        {204: Answers("It is offered no more")},
        refused=(404,),
    ),
    Operation(
        "GET",
        "/api/v1/transfers",
        "listTransfers",
        "List transfers of prefixes, offered and done",
        "前缀转移列表",
        "operator, reviewer, auditor; an enterprise sees those from and to itself",
        {200: Answers("A page", bodies.TransferPage)},
        parameters=("transfer_prefix", "transfer_state", *PAGE),
        group="prefixes",
    ),
)
