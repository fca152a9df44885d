"""If-Match and If-None-Match of a request, and what is answered to them."""

from __future__ import annotations

from aiohttp import web
from multidict import MultiMapping

from registry.identifiers import Condition, etag, parse_tags


def condition(request: web.Request, what: str = "identifier") -> Condition:
    """Read the condition of a request. what: is asked for, or written. Raises MalformedRequest."""
    return condition_of(request.headers, what)


def condition_of(headers: MultiMapping[str], what: str = "identifier") -> Condition:
    """Read the condition in the headers of a request. Raises MalformedRequest."""

    def tags(name: str) -> tuple[str, ...] | None:
        given = headers.getall(name, None)
        return None if given is None else parse_tags(", ".join(given), name)

    return Condition(tags("If-Match"), tags("If-None-Match"), what)


def unmodified(when: Condition, version: int) -> web.Response | None:
    """Return the 304 for who reads `version` and has it; None: read on.

    Raises PreconditionFailed.
    """
    if when.match is not None:
        Condition(match=when.match, what=when.what).check(version)
    if when.unmodified(version):
        return web.Response(status=304, headers={"ETag": etag(version)})
    return None
