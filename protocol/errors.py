"""The one error hierarchy.

Each class carries the Handle response code (RFC 3652 section 2.2.2.2) and the HTTP status
under which it leaves the node, so that every transport answers alike.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ResponseCode(IntEnum):
    """Response codes of the Handle System protocol, RFC 3652 section 2.2.2.2.

    7 and 505 are the reference implementation's own.
    """

    SUCCESS = 1
    ERROR = 2
    SERVER_BUSY = 3
    PROTOCOL_ERROR = 4
    OPERATION_DENIED = 5
    RECURSION_LIMIT = 6
    SERVER_DISABLED = 7
    HANDLE_NOT_FOUND = 100
    HANDLE_EXISTS = 101
    INVALID_HANDLE = 102
    VALUES_NOT_FOUND = 200
    VALUE_EXISTS = 201
    INVALID_VALUE = 202
    SITE_INFO_OUT_OF_DATE = 300
    SERVER_NOT_RESPONSIBLE = 301
    SERVICE_REFERRAL = 302
    PREFIX_REFERRAL = 303
    INVALID_ADMIN = 400
    INSUFFICIENT_PERMISSION = 401
    AUTHENTICATION_NEEDED = 402
    AUTHENTICATION_FAILED = 403
    INVALID_CREDENTIAL = 404
    AUTHENTICATION_TIMEOUT = 405
    UNABLE_TO_AUTHENTICATE = 406
    SESSION_TIMEOUT = 500
    SESSION_FAILED = 501
    INVALID_SESSION_KEY = 502
    RSA_KEY_NEEDED = 503
    INVALID_SESSION_SETUP = 504
    MESSAGE_REJECTED = 505


class IdnodeError(Exception):
    """Base of every error that a user may cause or see.

    detail: one sentence that names what was wrong.
    field: the place in the input, such as ``values[2].ttl``; None where there is none.
    rule: the rule that is broken, a word for programs; by default that of the class.
    retry_after: seconds after which the same request may succeed; None where it will not.
    """

    response_code: ResponseCode = ResponseCode.ERROR
    http_status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"
    title_zh: ClassVar[str] = "内部错误"

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        rule: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.rule = rule or self.slug.replace("-", "_")
        self.retry_after = retry_after

    def at(self, field: str) -> IdnodeError:
        """Return the same error, placed at `field` of an enclosing input."""
        inner = self.field
        if inner is None:
            self.field = field
        else:
            self.field = field + inner if inner.startswith("[") else f"{field}.{inner}"
        return self

    def problem(self, *, chinese: bool = False) -> dict[str, object]:
        """Return the RFC 9457 problem object, with Handle responseCode, rule and field added."""
        body: dict[str, object] = {
            "type": f"urn:idnode:problem:{self.slug}",
            "title": self.title_zh if chinese else self.title,
            "status": self.http_status,
            "detail": self.detail,
            "rule": self.rule,
            "responseCode": int(self.response_code),
        }
        if self.field is not None:
            body["field"] = self.field
        return body


class MalformedRequest(IdnodeError):
    """The request cannot be read: bad JSON, unknown member, wrong content type."""

    response_code = ResponseCode.PROTOCOL_ERROR
    http_status = 400
    slug, title, title_zh = "malformed-request", "Malformed request", "请求格式错误"


class BodyTimeout(MalformedRequest):
    """The body of the request did not come in time."""

    http_status = 408
    slug, title, title_zh = "request-timeout", "Request timeout", "请求超时"


class ProtocolError(IdnodeError):
    """Bytes that are not a message of the Handle protocol, or that its rules refuse.

    code: the response code for the peer; by default 4, protocol error.
    """

    http_status = 400
    slug, title, title_zh = "protocol-error", "Handle protocol error", "Handle 协议错误"

    def __init__(
        self,
        detail: str,
        *,
        code: ResponseCode = ResponseCode.PROTOCOL_ERROR,
        field: str | None = None,
    ) -> None:
        super().__init__(detail, field=field)
        self.response_code = code


class InvalidHandle(IdnodeError):
    """The identifier breaks a rule of its syntax (RFC 3651 section 2)."""

    response_code = ResponseCode.INVALID_HANDLE
    http_status = 400
    slug, title, title_zh = "invalid-identifier", "Invalid identifier", "标识格式错误"


class InvalidValue(IdnodeError):
    """A value or a field breaks a rule."""

    response_code = ResponseCode.INVALID_VALUE
    http_status = 422
    slug, title, title_zh = "invalid-value", "Invalid value", "字段值不合规则"


class AuthenticationNeeded(IdnodeError):
    """No credential, or one that is unknown, expired or revoked."""

    response_code = ResponseCode.AUTHENTICATION_NEEDED
    http_status = 401
    slug, title, title_zh = "authentication-needed", "Authentication needed", "需要身份认证"


class InsufficientPermission(IdnodeError):
    """Known who asks, and that it may not do this."""

    response_code = ResponseCode.INSUFFICIENT_PERMISSION
    http_status = 403
    slug, title, title_zh = "insufficient-permission", "Insufficient permission", "权限不足"


class AuthenticationFailed(IdnodeError):
    """A proof of who asks that does not hold: a wrong key, a wrong secret."""

    response_code = ResponseCode.AUTHENTICATION_FAILED
    http_status = 401
    slug, title, title_zh = "authentication-failed", "Authentication failed", "身份认证失败"


class InvalidAdmin(IdnodeError):
    """Known who asks, and that nobody named it an administrator of this."""

    response_code = ResponseCode.INVALID_ADMIN
    http_status = 403
    slug, title, title_zh = "invalid-administrator", "Not an administrator", "非管理员"


class HandleNotFound(IdnodeError):
    """The identifier, or the prefix it stands under, is not registered or does not resolve."""

    response_code = ResponseCode.HANDLE_NOT_FOUND
    http_status = 404
    slug, title, title_zh = "identifier-not-found", "Identifier not found", "标识不存在"


class NotFound(IdnodeError):
    """A resource of the registry other than an identifier does not exist."""

    response_code = ResponseCode.HANDLE_NOT_FOUND
    http_status = 404
    slug, title, title_zh = "not-found", "Not found", "资源不存在"


class HandleExists(IdnodeError):
    """What was to be created is there already."""

    response_code = ResponseCode.HANDLE_EXISTS
    http_status = 409
    slug, title, title_zh = "already-exists", "Already exists", "已存在"


class Conflict(IdnodeError):
    """The state of the resource does not allow this step."""

    response_code = ResponseCode.ERROR
    http_status = 409
    slug, title, title_zh = "conflict", "Conflict with the current state", "与当前状态冲突"


class PreconditionFailed(IdnodeError):
    """If-Match or If-None-Match does not hold (RFC 9110 section 13)."""

    response_code = ResponseCode.ERROR
    http_status = 412
    slug, title, title_zh = "precondition-failed", "Precondition failed", "前提条件不满足"


class TooLarge(IdnodeError):
    """The body is over a limit."""

    response_code = ResponseCode.PROTOCOL_ERROR
    http_status = 413
    slug, title, title_zh = "too-large", "Too large", "内容过大"


class UnsupportedMediaType(IdnodeError):
    """The body's content type is not one that this resource takes."""

    response_code = ResponseCode.PROTOCOL_ERROR
    http_status = 415
    slug, title, title_zh = "unsupported-media-type", "Unsupported media type", "不支持的内容类型"


class ServerNotResponsible(IdnodeError):
    """The prefix does not live on this node."""

    response_code = ResponseCode.SERVER_NOT_RESPONSIBLE
    http_status = 400
    slug, title, title_zh = "not-responsible", "Not responsible for this prefix", "非本节点前缀"


class TooManyRequests(IdnodeError):
    """Asked too often: again only after `retry_after` seconds."""

    response_code = ResponseCode.SERVER_BUSY
    http_status = 429
    slug, title, title_zh = "too-many-requests", "Too many requests", "请求过于频繁"

    def __init__(self, detail: str, *, retry_after: int):
        super().__init__(detail, retry_after=retry_after)


class StoreUnavailable(IdnodeError):
    """PostgreSQL is away or too slow: nothing can be said of what is not in memory."""

    response_code = ResponseCode.SERVER_BUSY
    http_status = 503
    slug, title, title_zh = "store-unavailable", "Store unavailable", "存储暂不可用"

    def __init__(self, detail: str = "the database does not answer", *, retry_after: int = 2):
        super().__init__(detail, retry_after=retry_after)


class Busy(IdnodeError):
    """As much of this is under way as the node does at once: the same may succeed soon."""

    response_code = ResponseCode.SERVER_BUSY
    http_status = 503
    slug, title, title_zh = "busy", "Busy", "系统繁忙"

    def __init__(self, detail: str, *, retry_after: int = 5):
        super().__init__(detail, retry_after=retry_after)


class PeerUnavailable(IdnodeError):
    """Another server that was asked does not answer."""

    http_status = 504
    slug, title, title_zh = "peer-unavailable", "Peer unavailable", "对端服务不可用"
