"""How errors leave: application/problem+json (RFC 9457), in the language that is preferred."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from aiohttp import web

from protocol.errors import IdnodeError, ResponseCode
from registry.api.messages_zh import translate

CONTENT_TYPE = "application/problem+json"

_CODES = {
    404: ResponseCode.HANDLE_NOT_FOUND,
    400: ResponseCode.PROTOCOL_ERROR,
    405: ResponseCode.OPERATION_DENIED,
    413: ResponseCode.PROTOCOL_ERROR,
    415: ResponseCode.PROTOCOL_ERROR,
}
_TITLES_ZH = {
    400: "请求格式错误",
    404: "资源不存在",
    405: "不支持的方法",
    413: "内容过大",
    417: "无法满足的期望",
}
_RANGE = re.compile(
    r"\s*([A-Za-z*]{1,8})(?:-[A-Za-z0-9-]*)?\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?)\s*)?"
)


def prefers_chinese(accept_language: str) -> bool:
    """Whether an Accept-Language header (RFC 9110 section 12.5.4) puts Chinese before all else."""
    best: dict[bool, float] = {True: 0.0, False: 0.0}
    for part in accept_language.split(",")[:32]:
        match = _RANGE.fullmatch(part)
        if match and match[1] != "*":
            chinese = match[1].lower() == "zh"
            best[chinese] = max(best[chinese], float(match[2] or 1))
    return best[True] > best[False]


def of_error(error: IdnodeError, request: web.Request, request_id: str) -> web.Response:
    """Return the answer to a request that failed with one of our own errors."""
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if error.http_status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    body = of_part(error, request, request_id)
    return _response(body, error.http_status, headers, chinese=chinese_wanted(request))


def of_part(error: IdnodeError, request: web.Request, request_id: str) -> dict[str, object]:
    """Return the problem object alone: of a part of a request, while others have succeeded."""
    chinese = chinese_wanted(request)
    body = error.problem(chinese=chinese)
    if chinese:
        body["detail"] = translate(error.detail)
    return {**body, "requestId": request_id}


def of_status(
    status: int, detail: str, request: web.Request, request_id: str, *, allow: str | None = None
) -> web.Response:
    """Return the answer to a request that the HTTP server refuses: 404, 405, 413 and the like."""
    phrase, chinese = HTTPStatus(status).phrase, chinese_wanted(request)
    body = {
        "type": "about:blank",
        "title": _TITLES_ZH.get(status, phrase) if chinese else phrase,
        "status": status,
        "detail": translate(detail) if chinese else detail,
        "rule": phrase.lower().replace(" ", "_"),
        "responseCode": int(_CODES.get(status, ResponseCode.ERROR)),
        "requestId": request_id,
    }
    return _response(body, status, {"Allow": allow} if allow else {}, chinese=chinese)


def chinese_wanted(request: web.Request) -> bool:
    """Whether who asks prefers Chinese."""
    return prefers_chinese(request.headers.get("Accept-Language", ""))


def _response(
    body: object, status: int, headers: Mapping[str, str], *, chinese: bool
) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body),
        status=status,
        headers={
            **headers,
            "Content-Language": "zh-CN" if chinese else "en",
            "Vary": "Accept-Language",
        },
        content_type=CONTENT_TYPE,
    )
