"""No request may say more than it is asked: members that nobody knows are refused everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import msgspec

from registry.api.bodies import exports, imports
from registry.api.operations import OPERATIONS


def _structs(type_: Any, seen: set[Any]) -> Iterator[type[msgspec.Struct]]:
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct) and type_ not in seen:
        seen.add(type_)
        yield type_
        for field in msgspec.structs.fields(type_):
            yield from _structs(field.type, seen)
    for argument in get_args(type_):
        yield from _structs(argument, seen)


def test_the_body_of_every_operation_takes_its_own_members_alone() -> None:
    asked = [operation.request for operation in OPERATIONS if operation.request is not None]
    queries = [imports.Upload, imports.Listing, exports.Export]
    seen: set[Any] = set()
    structs = [found for each in (*asked, *queries) for found in _structs(each, seen)]
    assert len(structs) > 50
    lax = [each.__name__ for each in structs if not each.__struct_config__.forbid_unknown_fields]
    assert lax == [], "they take members that nobody knows"
