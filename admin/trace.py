"""Messages of the Handle protocol and the steps of a client, decoded for people and programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

import msgspec

from protocol import json_api, typed
from protocol.errors import InvalidValue, ResponseCode
from protocol.handle.digest import Digest
from protocol.handle.envelope import Envelope
from protocol.handle.header import REQUEST, SERIAL_UNKNOWN, Header, OpCode, OpFlag
from protocol.handle.message import Message
from protocol.handle.responses import SiteResponse
from protocol.json_api import iso_time
from protocol.values import HandleValue
from resolver.client.steps import Step


def name(kind: type[IntEnum], number: int) -> str:
    """Return a number of the protocol with its name: ``100 HANDLE_NOT_FOUND``."""
    try:
        return f"{number} {kind(number).name}"
    except ValueError:
        return str(number)


def describe_step(step: Step, at: float | None = None) -> dict[str, Any]:
    """Return a step as JSON. at: seconds since the first one."""
    shown: dict[str, Any] = {"event": step.event, "server": str(step.endpoint)}
    if at is not None:
        shown["at"] = round(at, 6)
    if step.endpoint.transport == "udp" and step.event in ("send", "receive", "ignore", "wait"):
        shown["attempt"] = step.attempt
    if step.size:
        shown["bytes"] = step.size
    if step.packets > 1:
        shown["datagrams"] = step.packets
    if step.detail:
        shown["detail"] = step.detail
    if step.message is not None:
        shown["message"] = describe(step.message)
    if step.content is not None:
        shown["content"] = step.content
    return shown


def describe(message: Message) -> dict[str, Any]:
    """Return a message as JSON: envelope, header, body, digest and credential."""
    shown: dict[str, Any] = {
        "envelope": _envelope(message.envelope),
        "header": _header(message.header),
    }
    if message.digest is not None:
        shown["digest"] = _field(message.digest)
    shown["body"] = _body(message)
    if message.credential is not None:
        shown["credential"] = _field(message.credential)
    return shown


def _envelope(envelope: Envelope) -> dict[str, Any]:
    flags = ("compressed", "encrypted", "truncated")
    return {
        "version": str(envelope.version),
        "suggested": None if envelope.suggested is None else str(envelope.suggested),
        "flags": [flag.upper() for flag in flags if getattr(envelope, flag)],
        "session_id": envelope.session_id,
        "request_id": envelope.request_id,
        "sequence": envelope.sequence,
        "message_length": envelope.message_length,
    }


def _header(header: Header) -> dict[str, Any]:
    code = header.response_code
    unknown = header.site_serial == SERIAL_UNKNOWN
    return {
        "op_code": name(OpCode, header.op_code),
        "response_code": "0 (request)" if code == REQUEST else name(ResponseCode, code),
        "flags": _flags(header.flags),
        "site_serial": "unknown" if unknown else header.site_serial,
        "recursion_count": header.recursion_count,
        "expiration": iso_time(header.expiration),
    }


def _flags(flags: int) -> list[str]:
    """Return the names of the flags, and what has no name as a number behind them."""
    unnamed = flags & ~sum(OpFlag)
    return [flag.name for flag in OpFlag if flags & flag] + ([hex(unnamed)] if unnamed else [])


def _body(message: Message) -> dict[str, Any]:
    kind = type(message.body).__name__
    if isinstance(message.body, SiteResponse):
        try:
            return {"form": kind, "site": typed.site_to_json(message.body.site)}
        except InvalidValue:
            pass  # shown as the bytes that it is
    fields = dataclasses.fields(message.body)
    return {"form": kind} | {
        field.name: _field(getattr(message.body, field.name)) for field in fields
    }


def _field(value: Any) -> Any:
    if isinstance(value, HandleValue):
        return json_api.encode_value(value)
    if isinstance(value, Digest):
        return {"algorithm": value.algorithm.name, "value": value.value.hex()}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, IntEnum):
        return name(type(value), value)
    if isinstance(value, tuple):
        return [_field(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _field(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    return value


_WORDS = {
    "ask": "=== ask",
    "send": "--> send to",
    "receive": "<-- received from",
    "ignore": "--- ignored from",
    "wait": "--- waited for",
    "refer": "=== referred by",
}


def as_text(step: Step, at: float | None = None) -> str:
    """Return a step as lines for a person. What servers say is not made safe to print here.

    at: seconds since the first one.
    """
    shown = describe_step(step)
    head = [_WORDS[shown.pop("event")], shown.pop("server")]
    for key in ("attempt", "bytes", "datagrams"):
        if key in shown:
            head.append(f"{key} {shown.pop(key)}")
    if "detail" in shown:
        head.append(f"to {shown['detail']}" if step.event == "refer" else shown["detail"])
        del shown["detail"]
    if at is not None:
        head.append(f"after {at:.3f} s")
    message = shown.pop("message", {})
    return "\n".join(["  ".join(head), *_lines(message | shown, "    ")])


def _lines(value: dict[str, Any], indent: str) -> Iterator[str]:
    for key, item in value.items():
        if isinstance(item, dict):
            yield f"{indent}{key}"
            yield from _lines(item, indent + "  ")
        elif isinstance(item, list) and any(isinstance(entry, dict) for entry in item):
            yield f"{indent}{key}"
            for entry in item:
                yield f"{indent}  {msgspec.json.encode(entry).decode()}"
        else:
            shown = " ".join(map(str, item)) if isinstance(item, list) else item
            yield f"{indent}{key:<16} {'-' if shown in ('', None) else shown}"
