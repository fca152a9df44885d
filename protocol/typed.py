"""Data of the predefined types: HS_ADMIN, HS_VLIST, HS_PUBKEY, HS_SITE (RFC 3651 section 3.2).

Each has bytes on the wire and an object in Handle JSON; `to_json` and `from_json` change one
into the other. Bytes that are not exactly what `from_json` would make are left as they are.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import struct
from collections.abc import Callable, Mapping
from typing import Any

from protocol.errors import InvalidValue
from protocol.handle import wire
from protocol.handle.jwk import key_from_json, key_to_json
from protocol.values import MAX_DATA_BYTES

JSON_FORMAT = {
    "HS_ADMIN": "admin",
    "HS_VLIST": "vlist",
    "HS_PUBKEY": "key",
    "HS_SITE": "site",
    "HS_SITE.6": "site",
    "HS_SITE.PREFIX": "site",
    "HS_NA_DELEGATE": "site",
}
"""Which JSON format the data of a predefined type has."""

SITE_TYPES = ("HS_SITE", "HS_SITE.6")
PREFIX_SITE_TYPES = ("HS_SITE.PREFIX", "HS_NA_DELEGATE")
"""Of these, the site serves not the prefix itself but what is derived from it."""

SERVICE, PREFIX_SERVICE = "HS_SERV", "HS_SERV.PREFIX"
"""Likewise, by the name of a service: an identifier whose own values of the types say where."""

PLACE_TYPES = (*SITE_TYPES, SERVICE)
PREFIX_PLACE_TYPES = (*PREFIX_SITE_TYPES, PREFIX_SERVICE)

_INTERFACE_PROTOCOLS = ("UDP", "TCP", "HTTP", "HTTPS")
_HASH_BY_ALL = 2
_MAX_ENTRIES = 1024


def _string(text: str) -> bytes:
    # A NUL has no place in a PostgreSQL text, where these strings are kept as JSON.
    if "\0" in text:
        raise InvalidValue("a string holds a NUL")
    return wire.text(text)


class _Reader(wire.ValueReader):
    def count(self, limit: int = _MAX_ENTRIES, size: int = 4) -> int:
        return super().count(limit, size)

    def text(self, limit: int = MAX_DATA_BYTES) -> str:
        text = super().text(limit)
        # As in json_api: PostgreSQL cannot store it in JSON, so such data stays bytes.
        if "\0" in text:
            self.fail("a string holds U+0000")
        return text


_NOUNS: Mapping[type[Any], str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    list: "a list",
    Mapping: "an object",
}


class _Fields:
    """Takes members out of a JSON object one by one; what is left over is unknown."""

    def __init__(self, value: object) -> None:
        if not isinstance(value, Mapping):
            raise InvalidValue("not a JSON object")
        self._left: dict[str, Any] = dict(value)

    def take(self, name: str, kind: type[Any], default: Any = None) -> Any:
        if name not in self._left:
            if default is None:
                raise InvalidValue("missing", field=name, rule="required")
            return default
        value = self._left.pop(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise InvalidValue(f"must be {_NOUNS[kind]}", field=name, rule="type")
        return value

    def number(self, name: str, maximum: int, default: int | None = None) -> int:
        # pyhandle writes an index as a string, and the reference server reads it.
        text = self._left.get(name)
        if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) <= 10:
            self._left[name] = int(text)
        value: int = self.take(name, int, default)
        if not 0 <= value <= maximum:
            raise InvalidValue(f"not a number from 0 to {maximum}", field=name)
        return value

    def items(self, name: str, *, optional: bool = False) -> list[Any]:
        items: list[Any] = self.take(name, list, [] if optional else None)
        if len(items) > _MAX_ENTRIES:
            raise InvalidValue(f"more than {_MAX_ENTRIES} entries", field=name)
        return items

    def end(self) -> None:
        for name in self._left:
            raise InvalidValue("unknown member", field=name)


def admin_to_json(data: bytes) -> dict[str, Any]:
    """Read an HS_ADMIN record: permissions (2), admin handle, index (4)."""
    reader = _Reader(data)
    permissions, handle, index = reader.number(2), reader.text(), reader.number(4)
    reader.end()
    return {"handle": handle, "index": index, "permissions": f"{permissions:012b}"}


def admin_from_json(value: object) -> bytes:
    """Make an HS_ADMIN record. The leftmost of the 12 permission characters is list handles."""
    fields = _Fields(value)
    handle, index = fields.take("handle", str), fields.number("index", 2**31 - 1)
    permissions = fields.take("permissions", str)
    fields.end()
    if len(permissions) != 12 or permissions.strip("01"):
        raise InvalidValue("not 12 characters 0 or 1", field="permissions")
    return struct.pack(">H", int(permissions, 2)) + _string(handle) + struct.pack(">I", index)


def vlist_to_json(data: bytes) -> list[dict[str, Any]]:
    """Read an HS_VLIST record: a list of references."""
    reader = _Reader(data)
    entries = [{"handle": reader.text(), "index": reader.number(4)} for _ in range(reader.count())]
    reader.end()
    return entries


def vlist_from_json(value: object) -> bytes:
    """Make an HS_VLIST record of a list of {handle, index}."""
    if not isinstance(value, list) or len(value) > _MAX_ENTRIES:
        raise InvalidValue(f"not a list of at most {_MAX_ENTRIES} references")
    parts = [struct.pack(">I", len(value))]
    for position, entry in enumerate(value):
        try:
            fields = _Fields(entry)
            handle, index = fields.take("handle", str), fields.number("index", 2**31 - 1)
            fields.end()
        except InvalidValue as error:
            raise error.at(f"[{position}]") from None
        parts.append(_string(handle) + struct.pack(">I", index))
    return b"".join(parts)


def site_to_json(data: bytes) -> dict[str, Any]:
    """Read an HS_SITE record, as the reference server shows it in JSON."""
    reader = _Reader(data)
    site: dict[str, Any] = {"version": reader.number(2)}
    site["protocolVersion"] = f"{reader.number(1)}.{reader.number(1)}"
    site["serialNumber"] = reader.number(2)
    mask = reader.number(1)
    site["primarySite"], site["multiPrimary"] = bool(mask & 0x80), bool(mask & 0x40)
    hash_option = reader.number(1)
    if hash_option != _HASH_BY_ALL:
        site["hashOption"] = hash_option
    hash_filter = reader.text()
    if hash_filter:
        site["hashFilter"] = hash_filter
    site["attributes"] = [
        {"name": reader.text(), "value": reader.text()} for _ in range(reader.count())
    ]
    site["servers"] = [_server_to_json(reader) for _ in range(reader.count())]
    reader.end()
    return site


def _server_to_json(reader: _Reader) -> dict[str, Any]:
    server: dict[str, Any] = {"serverId": reader.number(4)}
    octets = reader.take(16)
    # The reference server writes an IPv4 address as 12 zero bytes and 4 more.
    address = octets[12:] if not any(octets[:12]) else octets
    server["address"] = str(ipaddress.ip_address(address))
    public_key = reader.octets()
    if public_key:
        server["publicKey"] = {"format": "base64", "value": base64.b64encode(public_key).decode()}
    server["interfaces"] = [_interface_to_json(reader) for _ in range(reader.count())]
    return server


def _interface_to_json(reader: _Reader) -> dict[str, Any]:
    kind, protocol, port = reader.number(1), reader.number(1), reader.number(4)
    if kind > 3 or protocol >= len(_INTERFACE_PROTOCOLS):
        raise InvalidValue("an interface is not of a known kind")
    return {
        "query": bool(kind & 2),
        "admin": bool(kind & 1),
        "protocol": _INTERFACE_PROTOCOLS[protocol],
        "port": port,
    }


def site_from_json(value: object) -> bytes:
    """Make an HS_SITE record of its JSON object. Raises InvalidValue with the member."""
    fields = _Fields(value)
    version = fields.number("version", 0xFFFF, 1)
    major, dot, minor = fields.take("protocolVersion", str, "2.11").partition(".")
    if not (dot and major.isdecimal() and minor.isdecimal() and int(major) < 256 > int(minor)):
        raise InvalidValue("not of the form 2.11", field="protocolVersion")
    serial = fields.number("serialNumber", 0xFFFF, 1)
    mask = 0x80 * fields.take("primarySite", bool, True)
    mask |= 0x40 * fields.take("multiPrimary", bool, False)
    hash_option = fields.number("hashOption", 2, _HASH_BY_ALL)
    hash_filter = fields.take("hashFilter", str, "")
    attributes, servers = fields.items("attributes", optional=True), fields.items("servers")
    fields.end()
    head = struct.pack(
        ">HBBHBB", version, int(major), int(minor), serial, mask, hash_option
    ) + _string(hash_filter)
    return (
        head
        + _list("attributes", attributes, _attribute_from_json)
        + _list("servers", servers, _server_from_json)
    )


def _list(name: str, items: list[Any], encode: Callable[[object], bytes]) -> bytes:
    parts = [struct.pack(">I", len(items))]
    for position, item in enumerate(items):
        try:
            parts.append(encode(item))
        except InvalidValue as error:
            raise error.at(f"{name}[{position}]") from None
    return b"".join(parts)


def _attribute_from_json(value: object) -> bytes:
    fields = _Fields(value)
    name, text = fields.take("name", str), fields.take("value", str)
    fields.end()
    return _string(name) + _string(text)


def _server_from_json(value: object) -> bytes:
    fields = _Fields(value)
    server_id = fields.number("serverId", 2**31 - 1, 1)
    try:
        address = ipaddress.ip_address(fields.take("address", str))
    except ValueError:
        raise InvalidValue("not an IP address", field="address") from None
    key = _public_key(fields.take("publicKey", Mapping, {}))
    interfaces = fields.items("interfaces")
    fields.end()
    return (
        struct.pack(">I", server_id)
        + address.packed.rjust(16, b"\0")
        + wire.octets(key)
        + _list("interfaces", interfaces, _interface_from_json)
    )


def _public_key(value: Mapping[str, Any]) -> bytes:
    if not value:
        return b""
    fields = _Fields(value)
    form, text = fields.take("format", str), fields.take("value", str)
    if form != "base64":
        raise InvalidValue("a public key has the format base64", field="publicKey.format")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise InvalidValue("not base64", field="publicKey.value") from None


def _interface_from_json(value: object) -> bytes:
    fields = _Fields(value)
    kind = 2 * fields.take("query", bool, False) + fields.take("admin", bool, False)
    protocol = fields.take("protocol", str)
    if protocol not in _INTERFACE_PROTOCOLS:
        raise InvalidValue(
            f"must be one of {', '.join(_INTERFACE_PROTOCOLS)}", field="protocol", rule="enum"
        )
    port = fields.number("port", 65_535)
    fields.end()
    return struct.pack(">BBI", kind, _INTERFACE_PROTOCOLS.index(protocol), port)


_TO_JSON: dict[str, Callable[[bytes], Any]] = {
    "admin": admin_to_json,
    "key": key_to_json,
    "vlist": vlist_to_json,
    "site": site_to_json,
}
_FROM_JSON: dict[str, Callable[[object], bytes]] = {
    "admin": admin_from_json,
    "key": key_from_json,
    "vlist": vlist_from_json,
    "site": site_from_json,
}


def to_json(type_: str, data: bytes) -> tuple[str, Any] | None:
    """Return (format, object) for data of a predefined type.

    None where the type has no format of its own, and where the object would not give back
    exactly these bytes.
    """
    form = JSON_FORMAT.get(type_.upper())
    if form is None:
        return None
    try:
        value = _TO_JSON[form](data)
        return (form, value) if _FROM_JSON[form](value) == data else None
    except InvalidValue:
        return None


def from_json(form: str, value: object) -> bytes:
    """Return the bytes of a predefined format. Raises InvalidValue, also for other formats."""
    if form not in _FROM_JSON:
        raise InvalidValue(
            "not one of string, base64, hex, admin, key, vlist, site", field="format"
        )
    return _FROM_JSON[form](value)
