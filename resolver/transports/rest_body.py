"""JSON bodies of the Handle JSON API."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from aiohttp import web

from protocol.errors import IdnodeError, MalformedRequest
from protocol.identifier import Identifier
from registry.api.requests import decode_anything, read_whole

_RECORD = {"responseCode", "handle", "values", "message"}


async def read_json(request: web.Request) -> Any:
    """Read the body. Raises MalformedRequest where it is not JSON, BodyTimeout."""
    if request.content_type != "application/json":
        raise MalformedRequest("the body must be application/json", field="Content-Type")
    raw = await read_whole(request)
    if not raw:
        raise MalformedRequest("the body is empty")
    return decode_anything(raw)


async def read_values(request: web.Request, handle: str) -> list[Any]:
    """Read values: a list of them, an object with ``values``, or one value.

    handle: the identifier that the path names; one in the body must be the same. Raises
    MalformedRequest, InvalidValue.
    """
    body = await read_json(request)
    if isinstance(body, list):
        return body
    if not isinstance(body, dict):
        raise MalformedRequest("not values, nor an object with values")
    if "values" not in body:
        return [body]
    for name in body.keys() - _RECORD:
        raise MalformedRequest("unknown member", field=name)
    _check_handle(body.get("handle", handle), handle)
    values = body["values"]
    if not isinstance(values, list):
        raise MalformedRequest("not a list", field="values")
    return values


def _check_handle(given: object, wanted: str) -> None:
    try:
        if isinstance(given, str) and (
            given == wanted or Identifier.parse(given) == Identifier.parse(wanted)
        ):
            return
    except IdnodeError:
        pass
    raise MalformedRequest("not the one that the path names", field="handle")


def check_indexes(values: Collection[Any], indexes: Collection[int], *, various: bool) -> None:
    """Check that the values are those that the indexes of a request name.

    various: the request says that the indexes are those of the values. Raises MalformedRequest.
    """
    if various:
        return
    given = [value.get("index") for value in values if isinstance(value, Mapping)]
    if len(given) != len(values) or set(given) != set(indexes):
        raise MalformedRequest("the values have other indexes", field="index")


async def read_strings(request: web.Request) -> dict[str, str]:
    """Read an object of strings, numbers and booleans, by its names in small letters."""
    body = await read_json(request)
    if not isinstance(body, dict):
        raise MalformedRequest("not an object")
    found = {}
    for name, value in body.items():
        if isinstance(value, bool):
            found[name.lower()] = str(value).lower()
        elif isinstance(value, str | int):
            found[name.lower()] = str(value)
        else:
            raise MalformedRequest("not a string, a number or a boolean", field=name)
    return found


async def read_parameters(request: web.Request) -> list[tuple[str, str]]:
    """Read the parameters of a request to read, which may stand in the body of a POST."""
    if not request.body_exists:
        return []
    body = await read_json(request)
    if not isinstance(body, dict):
        raise MalformedRequest("not an object")
    found = []
    for name, value in body.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, bool):
                found.append((name, str(item).lower()))
            elif isinstance(item, str | int):
                found.append((name, str(item)))
            else:
                raise MalformedRequest("not a string, a number or a boolean", field=name)
    return found
