"""Bodies of checks of sites and changes of hosting."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from registry.api.bodies.prefixes import Hosting, Reason

Site = Annotated[dict[str, Any], Meta(description="An HS_SITE, in Handle JSON")]


class SiteToCheck(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A site to check before it is taken; left out: that of the prefix."""

    site: Site | None = None


class AskedInterface(msgspec.Struct, frozen=True):
    """An interface of the site, and what came of asking it; null: no answer."""

    address: str
    protocol: str
    port: int
    response_code: int | None
    detail: str


class SiteCheck(msgspec.Struct, frozen=True):
    """The latest check of a site. It has passed if every interface answers for the prefix."""

    prefix: str
    passed: bool
    site: Site
    service: str | None
    asked: list[AskedInterface]
    actor: str
    checked_at: datetime.datetime


class NewHosting(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """By whom a prefix is served from now on."""

    hosting: Hosting
    site: Site | None = None
    service: (
        Annotated[str, Meta(max_length=2048, description="In the place of a site: see NewPrefix")]
        | None
    ) = None
    force: Annotated[
        bool, Meta(description="Go on with a site that was not checked; needs a reason")
    ] = False
    reason: Reason | None = None
