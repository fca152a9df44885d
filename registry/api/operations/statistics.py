"""Operations of /api/v1/statistics."""

from __future__ import annotations

from registry.api.bodies import statistics as bodies
from registry.api.operations.common import PAGE, UUID
from registry.api.operations.model import Answers, Operation, Parameter

TAG = ("Statistics", "统计")

_TIME = {"type": "string", "format": "date-time"}
_DAY = {"type": "string", "format": "date"}

PARAMETERS = {
    "statistics_from": Parameter(
        "query", "Begin, as in RFC 3339; 30 days ago, per hour 1 day ago", _TIME, name="from"
    ),
    "statistics_to": Parameter("query", "End, as in RFC 3339; now", _TIME, name="to"),
    "per": Parameter(
        "query",
        "A row for each hour, for each day of China (UTC+8), or one for all of the time",
        {"enum": ["hour", "day", "total"], "default": "day"},
    ),
    "by": Parameter(
        "query", "A row for each of these", {"enum": ["prefix", "enterprise", "industry"]}
    ),
    "counted_prefix": Parameter("query", "Under this prefix alone", name="prefix"),
    "counted_enterprise": Parameter(
        "query", "Of this enterprise alone", UUID, name="enterprise_id"
    ),
    "of_industry": Parameter(
        "query", "Of this industry (GB/T 4754-2017) and what it holds, such as C34", name="industry"
    ),
    "top_kind": Parameter(
        "query",
        "Identifiers that were found, or names that were asked for and are not there",
        {"enum": ["found", "missing"], "default": "found"},
        name="kind",
    ),
    "top_from": Parameter("query", "First day of China; that of to", _DAY, name="from"),
    "top_to": Parameter("query", "Last day of China; today", _DAY, name="to"),
    "top_limit": Parameter(
        "query",
        "How many",
        {"type": "integer", "minimum": 1, "maximum": 1000, "default": 10},
        name="limit",
    ),
}

_WHO = "operator, reviewer, auditor; an enterprise is told of its own; scope statistics"
_OF = ("counted_prefix", "counted_enterprise", "of_industry", "by", *PAGE)
_HOURS = ("statistics_from", "statistics_to", "per", *_OF)


def _operation(path: str, name: str, english: str, chinese: str, **more: object) -> Operation:
    return Operation(
        "GET",
        f"/api/v1/statistics/{path}",
        name,
        english,
        chinese,
        _WHO,
        refused=(422,),
        **more,  # type: ignore[arg-type]
    )


OPERATIONS = (
    _operation(
        "resolutions",
        "countResolutions",
        "Count resolutions by outcome",
        "解析量统计",
        answers={200: Answers("A page", bodies.ResolutionsPage)},
        parameters=_HOURS,
        notes="An answer is counted when it is given, and is here within 10 seconds.",
    ),
    _operation(
        "registrations",
        "countRegistrations",
        "Count registrations, changes and deletions",
        "注册量统计",
        answers={200: Answers("A page", bodies.RegistrationsPage)},
        parameters=_HOURS,
    ),
    _operation(
        "identifiers",
        "countIdentifiers",
        "Count the identifiers that there are",
        "标识存量统计",
        answers={200: Answers("A page", bodies.IdentifiersPage)},
        parameters=_OF,
    ),
    _operation(
        "top",
        "listTopNames",
        "List the names that were asked for most",
        "解析热点与未命中标识",
        answers={200: Answers("The first of them", bodies.TopNames)},
        parameters=(
            "top_kind",
            "top_from",
            "top_to",
            "counted_prefix",
            "counted_enterprise",
            "top_limit",
        ),
        notes="Estimated in bounded memory: between at_least and at_most. It is here within a"
        " minute; what a worker that was killed had learned in its last one is not.",
    ),
)
