"""Operations of checks of sites and changes of hosting."""

from __future__ import annotations

from registry.api.bodies import prefixes as prefix_bodies
from registry.api.bodies import sites as bodies
from registry.api.operations.model import Answers, Operation

_AT = "/api/v1/prefixes/{prefix}"

OPERATIONS = (
    Operation(
        "POST",
        f"{_AT}/check",
        "checkSite",
        "Ask the site of a delegated prefix whether it answers for it",
        "探测自建节点站点",
        "reviewer, operator",
        {200: Answers("What came of it", bodies.SiteCheck)},
        request=bodies.SiteToCheck,
        request_optional=True,
        refused=(404, 409),
        notes="Addresses that are not public are not asked, unless a setting allows them.",
    ),
    Operation(
        "GET",
        f"{_AT}/check",
        "getSiteCheck",
        "Read the latest check of a site",
        "查询最近一次站点探测",
        "operator, reviewer, auditor, the enterprise itself",
        {200: Answers("The check", bodies.SiteCheck)},
        refused=(404,),
    ),
    Operation(
        "PUT",
        f"{_AT}/hosting",
        "changeHosting",
        "Say by whom a prefix is served: here, or by a site of the enterprise",
        "变更托管方式或站点",
        "operator, the enterprise itself while the prefix is pending",
        {200: Answers("The prefix", prefix_bodies.Prefix)},
        request=bodies.NewHosting,
        refused=(404, 409),
        notes="A new site of a prefix that is active must have passed a check within 24 hours, or"
        " needs force and a reason.",
    ),
)
