"""Handle JSON: how the HTTP API of the Handle System writes values and answers.

Source: Handle.Net technical manual, chapter 14, and what its server was seen to send. Key
order, white space and the default left out (permissions 1110) are as there.
"""

from __future__ import annotations

import base64
import binascii
import datetime
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from protocol import typed
from protocol.errors import InvalidValue, ResponseCode
from protocol.values import (
    DEFAULT_PERMISSIONS,
    DEFAULT_TTL,
    PARTNERS,
    PRIVATE,
    PUBLIC,
    PUBLIC_READ,
    HandleValue,
    Reference,
)

CONTENT_TYPE = "application/json;charset=UTF-8"

DEFAULT_PARTNERS = ("group:partners",)
"""Whom a value is for whose access says ``partners`` and names none."""

_MEMBERS = {"index", "type", "data", "ttl", "timestamp", "permissions", "references", "access"}
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_encode = msgspec.json.encode


def encode_value(value: HandleValue) -> dict[str, Any]:
    """Return one value as its Handle JSON object."""
    result: dict[str, Any] = {
        "index": value.index,
        "type": value.type,
        "data": _encode_data(value.type, value.data),
    }
    if value.permissions != DEFAULT_PERMISSIONS:
        result["permissions"] = f"{value.permissions:04b}"
    result["ttl"] = iso_time(value.ttl) if value.ttl_absolute else value.ttl
    result["timestamp"] = iso_time(value.timestamp)
    if value.references:
        result["references"] = [
            {"handle": reference.handle, "index": reference.index} for reference in value.references
        ]
    return result


def encode_stored(value: HandleValue) -> dict[str, Any]:
    """Return one value as the registry stores it and shows it to its owner: with its partners."""
    result = encode_value(value)
    if value.partners:
        result["access"] = {"audience": PARTNERS, "partners": list(value.partners)}
    return result


def _encode_data(type_: str, data: bytes) -> dict[str, Any]:
    structured = typed.to_json(type_, data)
    if structured is not None:
        return {"format": structured[0], "value": structured[1]}
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    # A NUL has no place in a PostgreSQL text, nor in most readers of JSON.
    if "\0" in text:
        return {"format": "base64", "value": base64.b64encode(data).decode()}
    return {"format": "string", "value": text}


def decode_value(value: object, *, timestamp: int | None = None) -> HandleValue:
    """Read one value. `timestamp` (Unix seconds) replaces the one given.

    Where ``access`` is left out, the permissions say whether the value is for everybody or for its
    owner alone. Raises InvalidValue with the field for an unknown member, a wrong type or bad data.
    The rules on ranges and on values among themselves are in values.check_values.
    """
    if not isinstance(value, Mapping):
        raise InvalidValue("a value is a JSON object", rule="type")
    for name in value:
        if name not in _MEMBERS:
            raise InvalidValue("unknown member", field=str(name), rule="unknown_field")
    ttl, absolute = _decode_ttl(value.get("ttl", DEFAULT_TTL))
    stamp = _decode_time(value.get("timestamp", "1970-01-01T00:00:00Z"), "timestamp")
    permissions, partners = _decode_access(value)
    return HandleValue(
        index=_number(value, "index"),
        type=_text(value, "type"),
        data=_decode_data(value),
        ttl=ttl,
        ttl_absolute=absolute,
        timestamp=stamp if timestamp is None else timestamp,
        permissions=permissions,
        references=_decode_references(value.get("references", [])),
        partners=partners,
    )


def decode_values(values: object, *, timestamp: int | None = None) -> tuple[HandleValue, ...]:
    """Read a list of values; the field of an error starts with ``values[n]``."""
    if not isinstance(values, list):
        raise InvalidValue("not a list of values", field="values", rule="type")
    result = []
    for position, value in enumerate(values):
        try:
            result.append(decode_value(value, timestamp=timestamp))
        except InvalidValue as error:
            raise error.at(f"values[{position}]") from None
    return tuple(result)


def _number(value: Mapping[str, Any], name: str) -> int:
    if name not in value:
        raise InvalidValue("missing", field=name, rule="required")
    number = value[name]
    if not isinstance(number, int) or isinstance(number, bool):
        raise InvalidValue("not a whole number", field=name, rule="type")
    return number


def _text(value: Mapping[str, Any], name: str) -> str:
    if name not in value:
        raise InvalidValue("missing", field=name, rule="required")
    text = value[name]
    if not isinstance(text, str):
        raise InvalidValue("not a string", field=name, rule="type")
    return text


def _decode_data(value: Mapping[str, Any]) -> bytes:
    if "data" not in value:
        raise InvalidValue("missing", field="data", rule="required")
    data = value["data"]
    if isinstance(data, str):  # the reference server takes a bare string too
        return _utf8(data, "data")
    if not isinstance(data, Mapping):
        raise InvalidValue("not an object with format and value", field="data")
    for name in data:
        if name not in ("format", "value"):
            raise InvalidValue("unknown member", field=f"data.{name}", rule="unknown_field")
    try:
        form = _text(data, "format")
        if "value" not in data:
            raise InvalidValue("missing", field="value", rule="required")
        try:
            return _decode_format(form, data["value"])
        except binascii.Error:
            raise InvalidValue(f"not {form}", field="value") from None
    except InvalidValue as error:
        raise error.at("data") from None


def _decode_format(form: str, value: object) -> bytes:
    if form in ("string", "base64", "hex"):
        if not isinstance(value, str):
            raise InvalidValue("not a string", field="value", rule="type")
        if form == "string":
            return _utf8(value, "value")
        octets = _utf8(value, "value")
        return base64.b64decode(octets, validate=True) if form == "base64" else unhex(octets)
    return typed.from_json(form, value)


def unhex(octets: bytes) -> bytes:
    """Decode hexadecimal digits. Raises binascii.Error."""
    return binascii.unhexlify(octets)


def _utf8(text: str, field: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidValue("holds half of a surrogate pair", field=field) from None


def _decode_ttl(ttl: object) -> tuple[int, bool]:
    if isinstance(ttl, str):
        return _decode_time(ttl, "ttl"), True
    if not isinstance(ttl, int) or isinstance(ttl, bool):
        raise InvalidValue("not seconds, nor a time such as 2026-01-01T00:00:00Z", field="ttl")
    return ttl, False


def _decode_permissions(permissions: object) -> int:
    if permissions is None:
        return DEFAULT_PERMISSIONS
    if not isinstance(permissions, str) or len(permissions) != 4 or permissions.strip("01"):
        raise InvalidValue("not four characters 0 or 1, such as 1110", field="permissions")
    return int(permissions, 2)


def _decode_access(value: Mapping[str, Any]) -> tuple[int, tuple[str, ...]]:
    """Return the permissions of a value and its partners."""
    permissions = _decode_permissions(value.get("permissions"))
    access = value.get("access")
    if access is None:
        return permissions, ()
    if not isinstance(access, Mapping) or not {"audience"} <= set(access) <= _ACCESS:
        raise InvalidValue("not an object of audience and partners", field="access")
    audience, partners = access["audience"], access.get("partners")
    if audience not in (PUBLIC, PARTNERS, PRIVATE):
        raise InvalidValue("not public, partners or private", field="access.audience")
    if (partners is not None) and (audience != PARTNERS):
        raise InvalidValue("are only for the audience partners", field="access.partners")
    if "permissions" in value and bool(permissions & PUBLIC_READ) != (audience == PUBLIC):
        raise InvalidValue(
            "public read, the third of them, differs from access", field="permissions"
        )
    if audience == PUBLIC:
        return permissions, ()
    named = _decode_partners(partners) if audience == PARTNERS else ()
    return permissions & ~PUBLIC_READ, named


_ACCESS = {"audience", "partners"}


def _decode_partners(partners: object) -> tuple[str, ...]:
    if partners is None:
        return DEFAULT_PARTNERS
    if not isinstance(partners, list) or not all(isinstance(one, str) for one in partners):
        raise InvalidValue("not a list of names", field="access.partners")
    if not partners:
        raise InvalidValue("name one, or leave it out for group:partners", field="access.partners")
    return tuple(partners)


def _decode_references(references: object) -> tuple[Reference, ...]:
    if not isinstance(references, list):
        raise InvalidValue("not a list", field="references", rule="type")
    result = []
    for position, entry in enumerate(references):
        place = f"references[{position}]"
        if not isinstance(entry, Mapping) or set(entry) != {"handle", "index"}:
            raise InvalidValue("not an object of handle and index", field=place)
        try:
            result.append(Reference(_text(entry, "handle"), _number(entry, "index")))
        except InvalidValue as error:
            raise error.at(place) from None
    return tuple(result)


@lru_cache(1024)  # what is written at once has one time
def iso_time(seconds: int) -> str:
    """Return Unix seconds as ``2026-01-01T00:00:00Z``."""
    moment = _EPOCH + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _decode_time(text: object, field: str) -> int:
    try:
        if not isinstance(text, str):
            raise ValueError
        moment = datetime.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError
        return int((moment - _EPOCH).total_seconds())
    except (ValueError, OverflowError):
        raise InvalidValue(
            "not a time such as 2026-01-01T00:00:00Z", field=field, rule="format"
        ) from None


def answer(
    handle: str, values: Sequence[HandleValue], code: ResponseCode = ResponseCode.SUCCESS
) -> bytes:
    """Return the body of a resolution: `handle` as it was asked for, and the values.

    Without values the response code is 200, values not found.
    """
    if not values:
        return answer_code(handle, ResponseCode.VALUES_NOT_FOUND)
    return _encode(
        {
            "responseCode": int(code),
            "handle": handle,
            "values": [encode_value(value) for value in values],
        }
    )


def answer_code(handle: str | None, code: ResponseCode, message: str | None = None) -> bytes:
    """Return the body of an answer without values."""
    body: dict[str, Any] = {"responseCode": int(code)}
    if handle is not None:
        body["handle"] = handle
    if message is not None:
        body["message"] = message
    return _encode(body)
