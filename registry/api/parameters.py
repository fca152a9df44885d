"""Query parameters: an operation takes those that the OpenAPI document tells of, and no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from protocol.errors import IdnodeError, InvalidValue, MalformedRequest
from registry.api import openapi
from registry.api.operations import OPERATIONS, PARAMETERS, Operation
from registry.reading import listed


@dataclass(frozen=True, slots=True)
class _Known:
    """What one operation takes, and how it refuses the rest: by a status that it is known for."""

    names: Sequence[str]
    refusal: type[IdnodeError]


def _known(operation: Operation) -> _Known:
    taken = (name for name in operation.parameters if PARAMETERS[name].where == "query")
    refused = openapi.refusals(operation)
    return _Known(
        [PARAMETERS[name].name or name for name in taken],
        InvalidValue if HTTPStatus.UNPROCESSABLE_ENTITY in refused else MalformedRequest,
    )


_KNOWN = {(each.method, each.path): _known(each) for each in OPERATIONS}


def check(request: web.Request) -> None:
    """Refuse parameters that the operation does not take: the answer would be to another question.

    Raises InvalidValue or MalformedRequest with the parameter. A request for what is no operation
    passes: it is refused for that.
    """
    resource = request.match_info.route.resource
    if resource is None or not request.query:
        return
    method = "GET" if request.method == "HEAD" else request.method
    known = _KNOWN.get((method, resource.canonical))
    for name in request.query:
        if known is None or name in known.names:
            continue
        if not known.names:
            raise known.refusal("there are no parameters here", field=name, rule="unknown_field")
        raise known.refusal(
            f"unknown parameter; there are {listed(known.names)}", field=name, rule="unknown_field"
        )
