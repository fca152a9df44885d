"""How requests are read and answers written: bearer token, JSON body, pages, idempotency."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from aiohttp import web
from multidict import MultiMapping

from protocol.errors import (
    AuthenticationNeeded,
    BodyTimeout,
    InvalidValue,
    MalformedRequest,
    NotFound,
    UnsupportedMediaType,
)
from protocol.identifier import check_prefix
from registry import idempotency, principals
from registry.api import cursors
from registry.idempotency import Answer
from registry.reading import fault, listed, misfit
from registry.services import Registry, Work, work

REGISTRY: web.AppKey[Registry] = web.AppKey("registry", Registry)
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
"""Where the middleware leaves the id of a request."""

BODY_SECONDS = 30.0
"""How long a body that is read whole may take to come."""

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000

T = TypeVar("T", bound=msgspec.Struct)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_Moment = Annotated[datetime.datetime, msgspec.Meta(tz=True)]


_names = random.Random()  # noqa: S311  (seeded by the system; they are names, and no secrets)


def new_request_id() -> str:
    """Return the id of a request that brings none: 32 hexadecimal digits."""
    return f"{_names.getrandbits(128):032x}"


def bearer(request: web.Request) -> str:
    """Return the bearer token of a request (RFC 6750). Raises AuthenticationNeeded."""
    return bearer_of(request.headers)


def bearer_of(headers: MultiMapping[str]) -> str:
    """Return the bearer token in the headers of a request. Raises AuthenticationNeeded."""
    given = headers.getall("Authorization", [])
    if len(given) != 1:
        raise AuthenticationNeeded("give one bearer token: Authorization: Bearer TOKEN")
    scheme, _, token = given[0].partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not principals.is_token(token):
        raise AuthenticationNeeded("the Authorization header is not a bearer token")
    return token


@contextlib.asynccontextmanager
async def open_work(request: web.Request, *, within: float | None = None) -> AsyncIterator[Work]:
    """Open the transaction of a request. Read the body first: nobody shall hold a connection
    to the database by sending slowly.

    within: seconds for all of it, instead of the database's own.
    """  # noqa: D205
    token, request_id = bearer(request), request.get(REQUEST_ID)
    async with work(request.app[REGISTRY], token, request_id, within=within) as current:
        yield current


async def read_body(request: web.Request, type_: type[T], *, optional: bool = False) -> T:
    """Read the JSON body of a request that has a bearer token.

    optional: no body stands for an empty object. Raises MalformedRequest, UnsupportedMediaType,
    InvalidValue with the field, and what `bearer` raises.
    """
    bearer(request)
    return await read_open_body(request, type_, optional=optional)


async def read_open_body(request: web.Request, type_: type[T], *, optional: bool = False) -> T:
    """Read the JSON body of a request that needs no bearer token; otherwise as `read_body`."""
    if request.body_exists:
        check_content_type(request)
    raw = await read_whole(request)
    if not raw and optional:
        raw = b"{}"
    elif not raw:
        raise MalformedRequest("the body is empty")
    return decode_json(raw, type_)


def read_query(request: web.Request, type_: type[T]) -> T:
    """Read the query of a request that has a bearer token.

    Raises InvalidValue with the parameter, and what `bearer` raises.
    """
    bearer(request)
    asked = convert(dict(request.query), type_)
    for name, member in zip(type_.__struct_encode_fields__, type_.__struct_fields__, strict=True):
        # msgspec takes the text null for None: the answer would be that to another question.
        if name in request.query and getattr(asked, member) is None:
            raise InvalidValue("null is no value: leave the parameter out", field=name)
    return asked


def convert(value: object, type_: type[T]) -> T:
    """Take decoded JSON for `type_`, numbers also as text. Raises InvalidValue with the field."""
    try:
        return msgspec.convert(value, type_, strict=False)
    except msgspec.ValidationError as error:
        raise misfit(error, type_) from None


async def read_whole(request: web.Request) -> bytes:
    """Return the body of a request. Raises BodyTimeout where it does not come in BODY_SECONDS."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise BodyTimeout(f"the body did not come within {BODY_SECONDS:g} s") from None


def check_content_type(request: web.Request) -> None:
    """Raise UnsupportedMediaType unless the body is JSON."""
    if request.content_type != "application/json":
        raise UnsupportedMediaType("the body must be application/json", field="Content-Type")
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType("JSON is UTF-8 (RFC 8259)", field="Content-Type")


def decode_json(raw: bytes, type_: type[T]) -> T:
    """Read JSON as `type_`. Raises MalformedRequest for what is not JSON, InvalidValue with the
    field for what is not of the type.
    """  # noqa: D205
    decoded: T = decode_as(raw, type_)
    return decoded


def decode_anything(raw: bytes) -> Any:
    """Read JSON of any kind. Raises as `decode_json` does."""
    return decode_as(raw, Any)


def decode_as(raw: bytes, type_: Any) -> Any:
    """Read JSON of any type that msgspec knows. Raises as `decode_json` does."""
    try:
        if b"\\u0000" in raw:
            _refuse_nul(msgspec.json.decode(raw), "")
        return msgspec.json.decode(raw, type=type_)
    except msgspec.ValidationError as error:
        raise misfit(error, type_) from None
    except UnicodeDecodeError:
        raise MalformedRequest("the body is not UTF-8") from None
    except msgspec.DecodeError as error:
        raise MalformedRequest(f"the body is not JSON: {fault(error)}", rule="json") from None
    except RecursionError:
        raise MalformedRequest("the body is nested too deeply") from None


def _refuse_nul(value: object, path: str) -> None:
    """PostgreSQL can store U+0000 neither in text nor in JSON."""
    if isinstance(value, str) and "\0" in value:
        raise InvalidValue(
            "holds U+0000; send such data as base64", field=path or None, rule="characters"
        )
    if isinstance(value, Mapping):
        for name, member in value.items():
            _refuse_nul(name, path)
            _refuse_nul(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            _refuse_nul(item, f"{path}[{position}]")


def path_uuid(request: web.Request, name: str) -> uuid.UUID:
    """Return a UUID out of the path. Raises NotFound for what cannot be one."""
    text = request.match_info[name]
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFound(f"{text!r} is not an id", field=name) from None


def asked_prefix(request: web.Request) -> str:
    """Return ``prefix`` of the query of a request that has a bearer token.

    Raises MalformedRequest where it is left out, and what `bearer` raises.
    """
    bearer(request)
    prefix = request.query.get("prefix")
    if prefix is None:
        raise MalformedRequest("name the prefix: ?prefix=88.118.35", field="prefix")
    return check_prefix(prefix)


def query_uuid(request: web.Request, name: str) -> uuid.UUID | None:
    """Return a UUID out of the query, None where it is left out. Raises MalformedRequest."""
    given = request.query.get(name)
    try:
        return None if given is None else uuid.UUID(given)
    except ValueError:
        raise MalformedRequest("not the id of an enterprise", field=name) from None


def one_of(request: web.Request, name: str, known: Sequence[str]) -> str | None:
    """Return a word out of the query, None where it is left out. Raises MalformedRequest."""
    given = request.query.get(name)
    if given is not None and given not in known:
        raise MalformedRequest(f"must be one of {listed(known)}", field=name, rule="enum")
    return given


def page_limit(request: web.Request, *, maximum: int = MAX_LIMIT) -> int:
    """Return ``limit`` of a request for a page. Raises MalformedRequest."""
    text = request.query.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= maximum):
        raise MalformedRequest(f"not a number from 1 to {maximum}", field="limit")
    return int(text)


def page_after(request: web.Request, kind: str) -> str | None:
    """Return the position after which a page of the list `kind` starts. Raises MalformedRequest."""
    cursor = request.query.get("cursor")
    return None if cursor is None else cursors.decode(kind, cursor)


def query_moment(request: web.Request) -> datetime.datetime | None:
    """Return ``at`` of a request for the past. Raises MalformedRequest."""
    text = request.query.get("at")
    if text is None:
        return None
    try:
        return msgspec.convert(text, _Moment).astimezone(datetime.UTC)
    except (msgspec.ValidationError, OverflowError):
        raise MalformedRequest(
            "not a time of RFC 3339 with its zone, such as 2026-01-31T08:00:00Z or"
            " 2026-01-31T16:00:00%2B08:00",
            field="at",
        ) from None


def after_id(request: web.Request, kind: str) -> uuid.UUID | None:
    """Return `page_after` of a list in the order of ids. Raises MalformedRequest."""
    position = page_after(request, kind)
    try:
        return None if position is None else uuid.UUID(position)
    except ValueError:
        raise MalformedRequest("not a cursor of this list", field="cursor") from None


def cut_page(
    rows: Sequence[Any],
    limit: int,
    kind: str,
    position: Callable[[Any], object],
    *,
    more: bool = False,
) -> tuple[Sequence[Any], str | None]:
    """Cut rows, of which one more than `limit` was asked for, to a page; return it with the
    cursor of the next, None at the end.

    more: whether there are more even though no more rows were read.
    """  # noqa: D205
    if len(rows) <= limit and not more:
        return rows, None
    page = rows[:limit]
    return page, cursors.encode(kind, str(position(page[-1])))


def struct(type_: type[T], row: Any, **more: object) -> T:
    """Make a body of a database row and what the row does not hold."""
    columns = row._mapping
    return msgspec.convert(
        {name: more[name] if name in more else columns[name] for name in type_.__struct_fields__},
        type_,
    )


def respond(
    body: msgspec.Struct, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Answer with a JSON body."""
    return web.Response(
        body=msgspec.json.encode(body),
        status=status,
        headers=headers,
        content_type="application/json",
    )


def answer(
    body: msgspec.Struct,
    *,
    status: int = 201,
    location: str | None = None,
    headers: Mapping[str, str] | None = None,
    kept: msgspec.Struct | None = None,
) -> Answer:
    """Make the answer of a POST; `kept` is what to store where `body` shows a secret."""
    return Answer(
        status,
        ({"Location": location} if location else {}) | dict(headers or {}),
        msgspec.json.encode(body),
        None if kept is None else msgspec.json.encode(kept),
    )


async def post(
    request: web.Request,
    effect: Callable[[Work], Awaitable[Answer]],
    *,
    body: bytes | None = None,
    within: float | None = None,
) -> web.Response:
    """Do `effect` in one transaction and answer; once, if there is an Idempotency-Key.

    body: as it was read; None where request.read has read it. within: see `open_work`.
    """
    key = request.headers.get(idempotency.HEADER)
    if key is None:
        async with open_work(request, within=within) as current:
            return to_response(await effect(current))
    idempotency.check_key(key)
    asked = await request.read() if body is None else body
    print_ = idempotency.fingerprint(request.method, request.rel_url.raw_path_qs, asked)
    async with open_work(request, within=within) as current:
        connection, actor = current.connection, current.principal.actor
        earlier = await idempotency.claim(connection, actor, key, print_, current.now)
        if earlier is not None:
            return to_response(earlier, replayed=True)
        made = await effect(current)
        await idempotency.store(connection, actor, key, made)
        return to_response(made)


def to_response(made: Answer, *, replayed: bool = False) -> web.Response:
    """Return the answer of a POST as it goes out; `replayed` if it is an earlier one."""
    headers = dict(made.headers)
    if replayed:
        headers["Idempotency-Replayed"] = "true"
    return web.Response(
        body=made.body, status=made.status, headers=headers, content_type="application/json"
    )
