"""Identifiers: create, replace, change, delete. What they said before: registry/history.py.

A write is five round trips: BEGIN, the caller, the prefix with the identifier (both locked, the
prefix only against a change of its state, which so never passes a write that it forbids), the row
with its line in the audit log, COMMIT. History and change log are written by triggers. PUTs over
HTTP that come at the same time share theirs: registry/batch/groups.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from protocol import json_api
from protocol.errors import (
    Conflict,
    HandleNotFound,
    InvalidValue,
    MalformedRequest,
    PreconditionFailed,
    ServerNotResponsible,
)
from protocol.identifier import Identifier
from protocol.typed_check import check_typed
from protocol.values import MAX_VALUES, HandleValue, check_values
from registry import access, audit
from registry import identifier_statements as statements
from registry.prefix_handles import check_indexes, owner_prefix
from registry.prefixes import ACTIVE, HOSTED
from registry.principals import OPERATOR, STAFF
from registry.services import Record, Work
from registry.templates import lookup as templates
from registry.templates.names import check_not_reserved

MAX_VALUES_BYTES = 1024 * 1024
"""All values of one identifier together, in bytes of JSON."""

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


@dataclass(frozen=True)
class Condition:
    """If-Match and If-None-Match of one request (RFC 9110 section 13).

    Each is None (not given), "*" as ("*",), or the entity tags as they were written. what: is
    written.
    """

    match: tuple[str, ...] | None = None
    none_match: tuple[str, ...] | None = None
    what: str = "identifier"

    def check(self, version: int | None) -> None:
        """Raise PreconditionFailed if a write to `version` is not wanted; None: not there."""
        if self.match is not None and not _among(version, self.match, strong=True):
            raise PreconditionFailed(
                f"the {self.what} is not there"
                if version is None
                else f"the {self.what} has changed",
                field="If-Match",
            )
        if self.none_match is not None and _among(version, self.none_match, strong=False):
            raise PreconditionFailed(f"the {self.what} is there", field="If-None-Match")

    def unmodified(self, version: int) -> bool:
        """Whether a reader has `version` already: the answer is then 304."""
        return self.none_match is not None and _among(version, self.none_match, strong=False)


def etag(version: int) -> str:
    """Return the entity tag of a version: strong, and never the same again."""
    return f'"{version}"'


def parse_tags(header: str, field: str) -> tuple[str, ...]:
    """Read the value of If-Match or If-None-Match. Raises MalformedRequest."""
    if header.strip() == "*":
        return ("*",)
    tags = tuple(part.strip() for part in header.split(","))
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise MalformedRequest('not * and not entity tags such as "17"', field=field)
    return tags


def _among(version: int | None, tags: tuple[str, ...], *, strong: bool) -> bool:
    if version is None:
        return False
    own = etag(version)
    return "*" in tags or own in tags or (not strong and f"W/{own}" in tags)


async def put(
    work: Work, identifier: Identifier, *, values: object, template: str | None, when: Condition
) -> tuple[Record, bool]:
    """Create or replace an identifier; return its row and whether it was created.

    values: a list of Handle JSON values. template: the one that they are checked by, ``NAME`` or
    ``NAME/VERSION``; the exact version is registered. Raises InvalidValue with the field, the
    errors of `_target`, and PreconditionFailed.
    """
    decoded = decode(work, values)
    check_indexes(identifier, decoded)
    encoded = encode(decoded)
    wanted = (
        None if template is None else await templates.wanted(work, identifier.prefix_key, template)
    )
    target = await _target(work, identifier)
    when.check(target.version)
    if wanted is not None:
        checker = wanted.usable(target.template)
        await templates.check(work, checker, decoded)
        encoded = encode(checker.restrict(decoded))
        template = str(checker.reference)
    only_new = target.version is None and when.none_match is not None
    row = await _write(
        work,
        identifier,
        "identifier.put",
        statements.INSERT if only_new else statements.UPSERT,
        new_suffix=identifier.suffix,
        new_values=encoded,
        new_template=template,
    )
    if row is None:  # somebody was faster, after `_target` had found nothing to lock
        raise PreconditionFailed("the identifier is there", field="If-None-Match")
    return row, row.created


async def patch(
    work: Work, identifier: Identifier, *, values: object, remove: Sequence[int], when: Condition
) -> Record:
    """Add or replace the values with the indexes of `values`, and remove those of `remove`.

    The other values stay as they are, timestamps included. All are checked by the template that
    the identifier has. Raises as `put` does, and HandleNotFound.
    """
    decoded = decode(work, values)
    if not decoded and not remove:
        raise InvalidValue("nothing to add, replace or remove", field="values")
    check_indexes(identifier, decoded)
    encoded = encode(decoded)
    target = await _target(work, identifier)
    when.check(target.version)
    if target.version is None:
        raise HandleNotFound(f"{identifier} is not registered")
    checker = None
    if target.template is not None:
        checker = await templates.held(work, identifier, target.template)
        encoded = encode(checker.restrict(decoded))
    changed = {value["index"]: value for value in encoded}
    merged = {value["index"]: value for value in target.values}
    for position, index in enumerate(remove):
        if index in changed:
            raise InvalidValue("the index stands in values too", field=f"remove[{position}]")
        if merged.pop(index, None) is None:
            raise InvalidValue(f"there is no value {index}", field=f"remove[{position}]")
    merged.update(changed)
    bounded = _bounded(list(merged.values()))
    if checker is not None:
        positions = {value.index: position for position, value in enumerate(decoded)}
        await templates.check(work, checker, json_api.decode_values(bounded), positions)
    row = await _write(work, identifier, "identifier.patch", statements.UPDATE, new_values=bounded)
    assert row is not None  # noqa: S101  (`_target` holds its lock)
    return row


async def delete(work: Work, identifier: Identifier, *, when: Condition) -> None:
    """Delete an identifier; its history stays. Raises HandleNotFound, PreconditionFailed."""
    version = (await _target(work, identifier)).version
    when.check(version)
    if version is None:
        raise HandleNotFound(f"{identifier} is not registered")
    await _write(work, identifier, "identifier.delete", statements.DELETE)


async def get(work: Work, identifier: Identifier) -> Record:
    """Return one identifier of a prefix that the caller may see. Raises HandleNotFound."""
    await may_read(work, identifier)
    row = (await work.connection.execute(statements.GET, _key(identifier))).one_or_none()
    if row is None:
        raise HandleNotFound(f"{identifier} is not registered")
    return row


def _key(identifier: Identifier) -> dict[str, str]:
    return {"at_prefix": identifier.prefix_key, "at_suffix_key": identifier.suffix_key}


def decode(work: Work, values: object) -> Sequence[HandleValue]:
    """Read a list of Handle JSON values. Raises InvalidValue with the field."""
    decoded = json_api.decode_values(values, timestamp=int(work.now.timestamp()))
    check_values(decoded)
    check_typed(decoded)
    return access.checked(decoded)


def encode(values: Iterable[HandleValue]) -> list[dict[str, Any]]:
    """Return values as they are stored. Raises InvalidValue where they are too many or too long."""
    return _bounded([json_api.encode_stored(value) for value in values])


def _bounded(values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(values) > MAX_VALUES:
        raise InvalidValue(f"an identifier has at most {MAX_VALUES} values", field="values")
    if len(msgspec.json.encode(values)) > MAX_VALUES_BYTES:
        raise InvalidValue(
            f"the values of an identifier have at most {MAX_VALUES_BYTES} bytes of JSON",
            field="values",
        )
    return values


@dataclass(frozen=True, slots=True)
class _Target:
    """An identifier to write, locked; version None: it is not there."""

    version: int | None
    values: list[dict[str, Any]]
    template: str | None


async def _target(work: Work, identifier: Identifier) -> _Target:
    """Return what is there of the identifier to write.

    Raises InvalidHandle for the identifier of a template, ServerNotResponsible for a prefix that is
    not registered here, InsufficientPermission for one of another enterprise, Conflict for one that
    is not hosted here or not active.
    """
    check_not_reserved(identifier.suffix_key)
    owner = owner_prefix(identifier)
    if owner == work.node_prefix:  # it is not registered: it is the node's own
        work.principal.require(OPERATOR, scope="identifiers:write")
        await audit.name_writer(work.connection, work.principal.actor)
        row = (await work.connection.execute(statements.LOCKED, _key(identifier))).one_or_none()
        return _as_target(row)
    at = _key(identifier) | {"at_owner": owner, "by_actor": work.principal.actor}
    row = (await work.connection.execute(statements.TARGET, at)).one_or_none()
    check_writable(work, owner, row)
    if row is not None and row.member:
        # Who writes to a member of a range writes to a row that says the same.
        await work.connection.execute(statements.MATERIALISE, _key(identifier))
        row = (await work.connection.execute(statements.TARGET, at)).one()
    return _as_target(row)


def check_writable(work: Work, prefix: str, row: Any, *, field: str | None = None) -> None:
    """Let pass who may write under a prefix.

    row: what the function prefix_to_write says of it; None where it says nothing. field: the place
    of the prefix in the request, where it has one of its own. Raises ServerNotResponsible,
    InsufficientPermission and Conflict, as `put` does.
    """
    if row is None or row.status is None:
        raise ServerNotResponsible(f"prefix {prefix} is not registered here", field=field)
    work.principal.require(OPERATOR, enterprise=row.enterprise_id, scope="identifiers:write")
    if row.hosting != HOSTED:
        raise Conflict(f"prefix {prefix} is delegated: register at its own node")
    if row.status != ACTIVE:
        raise Conflict(f"prefix {prefix} is {row.status}, not active")


def _as_target(row: Record | None) -> _Target:
    if row is None or row.version is None:
        return _Target(None, [], None)
    return _Target(row.version, row.values_, row.template)


async def may_read(work: Work, identifier: Identifier, *, field: str | None = None) -> None:
    """Let pass who may read this identifier in the registry. field: as of check_writable.

    Raises ServerNotResponsible for a prefix that is not registered here, InsufficientPermission.
    """
    prefix = owner_prefix(identifier)
    if prefix == work.node_prefix:
        work.principal.require(*STAFF, scope="identifiers:read")
        return
    owner = await work.connection.scalar(sa.select(sa.func.prefix_owner(prefix)))
    if owner is None:
        raise ServerNotResponsible(f"prefix {prefix} is not registered here", field=field)
    work.principal.require(*STAFF, enterprise=owner, scope="identifiers:read")


async def _write(
    work: Work,
    identifier: Identifier,
    action: str,
    statement: sa.Select[Any],
    *,
    new_values: list[dict[str, Any]] | None = None,
    **new: object,
) -> Record | None:
    """Run a statement made by `_logged`; return the row, None if it wrote nothing."""
    line = {
        "by_actor": work.principal.actor,
        "action": action,
        "subject": str(identifier),
        "request_id": work.request_id,
        "attested": {} if new_values is None else audit.of_values(new_values),
    }
    if new_values is not None:
        new["new_values"] = new_values
    result = await work.connection.execute(statement, {**_key(identifier), **line, **new})
    row: Record | None = result.one_or_none()
    if row is not None:
        work.changes(identifier.prefix_key, [identifier.suffix_key])
    return row
