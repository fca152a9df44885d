"""Records of the SNMS API: identifiers with values of a template, written as all others are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from protocol.errors import (
    Conflict,
    HandleExists,
    InvalidHandle,
    InvalidValue,
    PreconditionFailed,
)
from protocol.identifier import PREFIX_HANDLE_PREFIX, Identifier, check_registrable, fold
from protocol.values import PUBLIC_READ
from registry import identifiers
from registry.identifiers import Condition, etag
from registry.services import Work
from registry.snms.wire import SnmsData, SnmsDetail, SnmsRecord, SnmsValue
from registry.templates.checker import TEMPLATE_INDEX, TEMPLATE_TYPE
from registry.templates.definition import FIRST_INDEX
from registry.templates.names import Reference, check_name

READ, RESTRICTED = "1", "0"
"""``auth`` of a value that everybody may read, and of one that not everybody may."""

_FOR_WHOM = ("permissions", "access")

ABSENT = Condition(none_match=("*",))
ANY = Condition()
_ATTEMPTS = 3


def parse(handle: str) -> Identifier:
    """Read ``handle``. Raises InvalidHandle for what cannot be the identifier of an object."""
    if "/" not in handle:
        raise InvalidHandle("an identifier has the form prefix/suffix", field="handle")
    identifier = Identifier.parse(handle)
    if identifier.prefix_key == PREFIX_HANDLE_PREFIX:
        raise InvalidHandle("a prefix handle is not the identifier of an object", field="handle")
    return check_registrable(identifier)


async def detail(work: Work, handle: str) -> SnmsDetail:
    """Return what is registered of an identifier. Raises HandleNotFound, InsufficientPermission."""
    identifier = parse(handle)
    row = await identifiers.get(work, identifier)
    version = "" if row.template is None else Reference.parse(row.template).name
    shown = {value["index"]: _shown(value) for value in row.values_ if _is_shown(value)}
    if version:
        shown.setdefault(TEMPLATE_INDEX, _shown(_template_value(version)))
    return SnmsDetail(
        code="200",
        prefix=row.prefix,
        handle=f"{row.prefix}/{row.suffix}",
        template_version=version,
        value=[shown[index] for index in sorted(shown)],
    )


async def create(work: Work, record: SnmsRecord) -> None:
    """Register an identifier. Raises HandleExists, and as `identifiers.put` does."""
    identifier, values = parse(record.handle), values_of(record)
    try:
        await identifiers.put(
            work, identifier, values=values, template=record.template_version, when=ABSENT
        )
    except PreconditionFailed:
        raise exists(record.handle) from None


def exists(handle: str) -> HandleExists:
    """Return the error of an identifier that is registered already."""
    return HandleExists(f"{handle} is registered already", field="handle")


async def update(work: Work, record: SnmsRecord) -> None:
    """Replace the values of an identifier, but for those that this API does not show.

    A value that stays is for whom it was: this API cannot say that. Raises HandleNotFound, and as
    `identifiers.put` does.
    """
    identifier, values = parse(record.handle), values_of(record)
    for _ in range(_ATTEMPTS):
        row = await identifiers.get(work, identifier)
        try:
            await identifiers.put(
                work,
                identifier,
                values=replacing(values, row.values_),
                template=record.template_version,
                when=Condition(match=(etag(row.version),)),
            )
        except PreconditionFailed:  # somebody changed or deleted it in between
            continue
        return
    raise Conflict(f"{identifier} is being changed by others; try again", field="handle")


async def delete(work: Work, handle: str) -> None:
    """Delete an identifier. Raises HandleNotFound, and as `identifiers.delete` does."""
    await identifiers.delete(work, parse(handle), when=ANY)


def values_of(record: SnmsRecord) -> list[dict[str, Any]]:
    """Return the values of a record in Handle JSON, and with them its template."""
    _check_version(record.template_version)
    _check_indexes(record.value)
    return [
        {
            "index": value.index,
            "type": value.type,
            "data": {"format": "string", "value": value.data.value},
        }
        for value in record.value
    ] + [_template_value(record.template_version)]


def replacing(
    values: Sequence[dict[str, Any]], stored: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return values with what stays of those that are `stored`: see `update`."""
    before = {value["index"]: value for value in stored}
    kept = [value for value in stored if _is_administrative(value)]
    return [*(_for_whom_before(value, before) for value in values), *kept]


def _for_whom_before(
    value: dict[str, Any], before: Mapping[int, Mapping[str, Any]]
) -> dict[str, Any]:
    earlier = before.get(value["index"])
    if earlier is None or fold(earlier["type"]) != fold(value["type"]):
        return value
    return value | {name: earlier[name] for name in _FOR_WHOM if name in earlier}


def _check_version(version: str) -> None:
    try:
        check_name(version)
    except InvalidValue as error:
        raise error.at("templateVersion") from None


def _check_indexes(values: Sequence[SnmsValue]) -> None:
    for position, value in enumerate(values):
        if value.index == TEMPLATE_INDEX:
            raise InvalidValue(
                f"index {TEMPLATE_INDEX} is reserved for the template",
                field=f"value[{position}].index",
            )


def _template_value(version: str) -> dict[str, Any]:
    data = {"format": "string", "value": version}
    return {"index": TEMPLATE_INDEX, "type": TEMPLATE_TYPE, "data": data}


def _is_administrative(value: Mapping[str, Any]) -> bool:
    return value["index"] < FIRST_INDEX and fold(value["type"]).startswith("HS_")


def _is_shown(value: Mapping[str, Any]) -> bool:
    return value["data"]["format"] == "string" and not _is_administrative(value)


def _shown(value: Mapping[str, Any]) -> SnmsValue:
    permissions = int(value.get("permissions", "1110"), 2)
    return SnmsValue(
        index=value["index"],
        type=value["type"],
        data=SnmsData(format="string", value=value["data"]["value"]),
        auth=READ if permissions & PUBLIC_READ else RESTRICTED,
    )
