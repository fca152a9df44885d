"""How the SNMS API answers: ``{message, status, data}`` with HTTP status 200, whatever happened.

Source: id-guide, docs/dev-tools/snms, whose messages stand here word for word. It names one other
HTTP status, 504: what was to be written may have been written.
"""

from __future__ import annotations

import re
from enum import IntEnum
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from protocol.errors import (
    AuthenticationFailed,
    AuthenticationNeeded,
    Busy,
    HandleExists,
    HandleNotFound,
    IdnodeError,
    InsufficientPermission,
    StoreUnavailable,
)
from registry.api.messages_zh import translate
from registry.templates.checker import InvalidItem

SUCCESS = "success"


class Status(IntEnum):
    """``status`` of an answer (appendix of the guide)."""

    NOT_SIGNED_IN = -1
    SUCCESS = 1
    REFUSED = -2
    NO_PERMISSION = -3
    INTERNAL_ERROR = -4


_BUSY = "系统繁忙"
_MESSAGES = {
    AuthenticationFailed: "用户名/密码错误！",
    AuthenticationNeeded: "没有登录，需要验证",
    Busy: _BUSY,
    InsufficientPermission: "没有权限",
    HandleExists: "标识已存在",
    HandleNotFound: "没有找到标识",
}
NOT_THERE = "标识不存在"
"""What a batch says where a single request says that no identifier was found."""

_INTERNAL_ERROR = "系统内部错误"
_OUR_FIELDS = (
    (re.compile(r"^values\b"), "value"),
    (re.compile(r"^(suffix|identifier)$"), "handle"),
    (re.compile(r"^template$"), "templateVersion"),
    (re.compile(r"^name$"), "version"),
    (re.compile(r"^(items\[\d+\])\.type$"), r"\1.idType"),
    (re.compile(r"^(items\[\d+\])\.index$"), r"\1.idIndex"),
    (re.compile(r"\.data\.min_length$"), ".metadata.minLength"),
    (re.compile(r"\.data\.max_length$"), ".metadata.maxLength"),
    (re.compile(r"^industry\.division$"), "industrySpecific"),
    (re.compile(r"^industry\.group$"), "industryTrade"),
    (re.compile(r"^industry\.class$"), "industrySubclass"),
)


_NAMES = {"values[": "value[", "max_length": "maxLength"}
"""What sentences call things -> what they are called here."""

_OUR_NAMES = re.compile("|".join(map(re.escape, _NAMES)))


def status_of(error: IdnodeError) -> Status:
    """Return the status of an answer to what failed with `error`."""
    if isinstance(error, AuthenticationNeeded):
        return Status.NOT_SIGNED_IN
    if isinstance(error, InsufficientPermission):
        return Status.NO_PERMISSION
    if error.http_status < 500 or isinstance(error, Busy):  # nothing was begun
        return Status.REFUSED
    return Status.INTERNAL_ERROR


def message_of(error: IdnodeError) -> str:
    """Return what is said of `error`, in Chinese."""
    if type(error) in _MESSAGES:
        return _MESSAGES[type(error)]
    if error.http_status >= 500:
        return _INTERNAL_ERROR
    if isinstance(error, InvalidItem):  # its sentence names the value
        if error.rule == "unknown":
            return f"非法操作，索引{error.index}在模板中不存在"
        return translate(error.detail)
    field = _field(error.field)
    if error.detail == "missing":
        return f"缺少必要的请求参数: {field}"
    sentence = _OUR_NAMES.sub(lambda match: _NAMES[match[0]], translate(error.detail))
    return sentence if field is None else f"{field}：{sentence}"


def _field(field: str | None) -> str | None:
    """Return the place in a request as this API names it."""
    for ours, theirs in _OUR_FIELDS:
        if field is not None:
            field = ours.sub(theirs, field)
    return field


def succeeded(data: Any, **headers: str) -> web.Response:
    """Answer that something was done; data: what the answer is about, or True."""
    return _answer(Status.SUCCESS, SUCCESS, data, HTTPStatus.OK, headers)


def failed(error: IdnodeError) -> web.Response:
    """Answer that something was not done."""
    return _answer(status_of(error), message_of(error), None, HTTPStatus.OK, {})


def failed_write(error: IdnodeError) -> web.Response:
    """Answer that an identifier was not written, or perhaps was."""
    status = status_of(error)
    unknown = status == Status.INTERNAL_ERROR
    http = HTTPStatus.GATEWAY_TIMEOUT if unknown else HTTPStatus.OK
    return _answer(status, message_of(error), None, http, {})


def failed_template(error: IdnodeError) -> web.Response:
    """Answer that something was not done with a template.

    When the node cannot at the moment, the guide shows status -1 here.
    """
    if isinstance(error, Busy | StoreUnavailable):
        return _answer(Status.NOT_SIGNED_IN, _BUSY, None, HTTPStatus.OK, {})
    return failed(error)


def no_call(http: int, *, allow: str | None = None) -> web.Response:
    """Answer to what is no call of this API. allow: the methods of those of its path."""
    message = "接口不存在" if allow is None else f"请求方法不支持，可用方法: {allow}"
    headers = {} if allow is None else {"Allow": allow}
    return _answer(Status.REFUSED, message, None, HTTPStatus(http), headers)


def broken() -> web.Response:
    """Answer to what failed in a way that was not foreseen."""
    return _answer(Status.INTERNAL_ERROR, _INTERNAL_ERROR, None, HTTPStatus.OK, {})


def _answer(
    status: Status, message: str, data: Any, http: HTTPStatus, headers: dict[str, str]
) -> web.Response:
    return web.Response(
        body=msgspec.json.encode({"message": message, "status": int(status), "data": data}),
        status=http,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        content_type="application/json",
    )
