"""What nobody may send, put into every place of a request that the OpenAPI document tells of."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

NUL = "a\0b"
OVERRIDE = "a\u202eb"
"""RIGHT-TO-LEFT OVERRIDE: what follows is shown backwards, so that a name looks like another."""

BIDIRECTIONAL = "a bidirectional control"

BEYOND_INT64 = (2**63, -(2**63) - 1, 2**200)
ASSIGNED = (
    "status",
    "state",
    "enterprise_id",
    "role",
    "version",
    "id",
    "owner",
    "created_at",
    "hashed_password",
    "__class__",
)
"""Members that others have and requests do not: who names them tries to set them."""

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """A place in the body of a request: what of JSON it takes, and its members if it is an object.

    plain: whether it is a text that people write, no choice out of some.
    """

    path: Path
    kinds: frozenset[str]
    members: frozenset[str]
    plain: bool

    @property
    def field(self) -> str:
        """How errors name the place."""
        text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return text.removeprefix(".")


def places(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[Place]:
    """Return all places of a body, the body itself first."""
    found: dict[Path, list[Mapping[str, Any]]] = {}
    _walk(schema, schemas, (), found)
    return [_place(path, options) for path, options in found.items()]


def _walk(
    schema: Mapping[str, Any],
    schemas: Mapping[str, Any],
    path: Path,
    found: dict[Path, list[Mapping[str, Any]]],
) -> None:
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
    for option in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        _walk(option, schemas, path, found)
    if "anyOf" in schema or "oneOf" in schema:
        return
    found.setdefault(path, []).append(schema)
    for name, member in schema.get("properties", {}).items():
        _walk(member, schemas, (*path, name), found)
    if "items" in schema:
        _walk(schema["items"], schemas, (*path, 0), found)


def _place(path: Path, options: list[Mapping[str, Any]]) -> Place:
    objects = [option for option in options if "properties" in option]
    return Place(
        path,
        frozenset(option.get("type", "any") for option in options),
        frozenset(name for option in objects for name in option["properties"]),
        any(option.get("type") == "string" and "enum" not in option for option in options),
    )


def reached(body: Any, path: Path) -> bool:
    """Whether the place is there in `body`, or can be put into an object that is."""
    for step in path[:-1]:
        if not _has(body, step):
            return False
        body = body[step]
    return not path or isinstance(body, dict) or _has(body, path[-1])


def _has(body: Any, step: str | int) -> bool:
    if isinstance(step, int):
        return isinstance(body, list) and step < len(body)
    return isinstance(body, dict) and step in body


def having(body: Any, path: Path, value: object) -> Any:
    """Return `body` with `value` at a place that is reached."""
    if not path:
        return value
    changed = copy.deepcopy(body)
    at = changed
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return changed


def bad(body: Any, place: Place) -> Iterator[tuple[str, str, Any]]:
    """Yield what is wrong, the field that a refusal has to name, and the body with it."""
    if place.plain:
        for what, text in (("NUL", NUL), (BIDIRECTIONAL, OVERRIDE)):
            yield what, place.field, having(body, place.path, text)
    if place.kinds & {"integer", "number"}:
        for number in BEYOND_INT64:
            yield "beyond int64", place.field, having(body, place.path, number)
    if place.members:
        for name in ASSIGNED:
            path = (*place.path, name)
            if name not in place.members and reached(body, path):
                yield "unknown member", place.field or name, having(body, path, "x")


def bad_query(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong and the text, for a parameter of the query."""
    yield "NUL", NUL
    yield BIDIRECTIONAL, OVERRIDE
    if schema.get("type") in ("integer", "number"):
        yield from (("beyond int64", str(number)) for number in BEYOND_INT64)
    if schema.get("type") != "string" or "format" in schema:
        yield "null", "null"


def with_parameter(target: str, name: str, text: str) -> str:
    """Return the path with a parameter of the query set, instead of what it may have been."""
    path, _, query = target.partition("?")
    given = [pair for pair in query.split("&") if pair and pair.partition("=")[0] != name]
    return f"{path}?" + "&".join([*given, f"{name}={quote(text, safe='')}"])
