"""Operations of /api/v1/outbox."""

from __future__ import annotations

from registry.api.bodies import outbox as bodies
from registry.api.operations.common import PAGE, POST
from registry.api.operations.model import Answers, Operation, Parameter

TAG = ("Outbox to the top-level node", "待上报消息")

_AT = "/api/v1/outbox"

PARAMETERS = {
    "outbox_subject": Parameter(
        "query",
        "What the messages are about, such as a prefix",
        {"type": "string", "minLength": 1, "maxLength": 255},
        name="subject",
    ),
    "outbox_kind": Parameter(
        "query",
        "The kind of the messages, such as prefix",
        {"type": "string", "minLength": 1, "maxLength": 64},
        name="kind",
    ),
}

OPERATIONS = (
    Operation(
        "GET",
        _AT,
        "listOutbox",
        "List the messages that wait for the top-level node, and why",
        "待上报消息列表及原因",
        "operator, reviewer, auditor",
        {200: Answers("A page", bodies.WaitingPage)},
        parameters=(*PAGE, "outbox_subject", "outbox_kind"),
        refused=(422,),
    ),
    Operation(
        "POST",
        f"{_AT}/retry",
        "retryOutbox",
        "Send all that waits at once",
        "立即重发全部消息",
        "operator",
        {200: Answers("How many were put off", bodies.Hastened)},
        parameters=POST,
    ),
    Operation(
        "POST",
        f"{_AT}/{{id}}/retry",
        "retryMessage",
        "Send a message at once",
        "立即重发一条消息",
        "operator",
        {200: Answers("It is due now", bodies.Waiting)},
        parameters=POST,
        refused=(404,),
    ),
    Operation(
        "POST",
        f"{_AT}/{{id}}/drop",
        "dropMessage",
        "Give up a message that can never be taken",
        "放弃一条无法上报的消息",
        "operator",
        {204: Answers("It is gone; those behind it go on")},
        request=bodies.Drop,
        parameters=POST,
        refused=(404,),
        notes="The whole message and the reason stand in the audit log.",
    ),
)
