"""Operations of /api/v1/reserved-numbers and of quotas."""

from __future__ import annotations

from registry.api.bodies import enterprises as enterprise_bodies
from registry.api.bodies import numbers as bodies
from registry.api.operations.common import PAGE, POST
from registry.api.operations.model import Answers, Operation, Parameter

_AT = "/api/v1/reserved-numbers"

PARAMETERS = {
    "number": Parameter(
        "path",
        "The first number of the reservation",
        {"type": "integer", "minimum": 0, "maximum": 999_999_999},
    ),
}

OPERATIONS = (
    Operation(
        "POST",
        _AT,
        "reserveNumbers",
        "Keep numbers of prefixes back",
        "保留前缀号码",
        "operator",
        {201: Answers("Reserved", bodies.Reservation, headers=("Location",))},
        request=bodies.NewReservation,
        parameters=POST,
        refused=(409,),
        notes="No enterprise gets them by itself; an operator gives them out by name.",
        group="prefixes",
    ),
    Operation(
        "GET",
        _AT,
        "listReservedNumbers",
        "List the numbers that are kept back",
        "保留号码列表",
        "operator, reviewer, auditor",
        {200: Answers("A page", bodies.ReservationPage)},
        parameters=PAGE,
        group="prefixes",
    ),
    Operation(
        "DELETE",
        f"{_AT}/{{number}}",
        "releaseNumbers",
        "End a reservation",
        "解除保留",
        "operator",
        {204: Answers("They may be given out")},
        refused=(404,),
        group="prefixes",
    ),
    Operation(
        "PUT",
        "/api/v1/enterprises/{id}/prefix-quota",
        "setPrefixQuota",
        "Say how many prefixes an enterprise may have",
        "设置企业前缀配额",
        "operator",
        {200: Answers("The enterprise", enterprise_bodies.Enterprise)},
        request=bodies.Quota,
        refused=(404,),
        group="enterprises",
    ),
)
