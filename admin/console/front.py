"""The console over HTTP: the page for who has signed in, the way in for everybody else."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import structlog
from aiohttp import web

from admin.console import page
from admin.console.texts import CHINESE, ENGLISH
from admin.console.visitors import LIFE_SECONDS, Visitor, Visitors
from admin.status import Status
from protocol.errors import (
    BodyTimeout,
    IdnodeError,
    InsufficientPermission,
    MalformedRequest,
    StoreUnavailable,
)
from registry.api.messages_zh import translate
from registry.api.problems import prefers_chinese

STATUS: web.AppKey[Status] = web.AppKey("status", Status)
COOKIE = "idnode_console"

MAX_FORM_BYTES = 4096
FORM_SECONDS = 10.0

log = structlog.get_logger("idnode.console")


def add_routes(app: web.Application) -> None:
    """Add the console to the operator port."""
    app.router.add_get("/", _console)
    app.router.add_post("/sign-in", _sign_in)
    app.router.add_post("/sign-out", _sign_out)


async def _console(request: web.Request) -> web.Response:
    visitor = _visitor(request)
    if visitor is None:
        return _page(request, page.sign_in(request.app[STATUS], _words(request)))
    return _page(request, page.render(request.app[STATUS], _words(request), visitor.name))


async def _sign_in(request: web.Request) -> web.Response:
    try:
        cookie = await _begin(request)
    except IdnodeError as error:
        sentence = translate(error.detail) if _words(request) is CHINESE else error.detail
        text = page.sign_in(request.app[STATUS], _words(request), sentence)
        response = _page(request, text, status=error.http_status)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response
    response = _see_console(request)
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int(LIFE_SECONDS),
        httponly=True,
        samesite="Strict",
        secure=request.secure,
    )
    return response


async def _begin(request: web.Request) -> str:
    visitors = _visitors(request)
    _check_origin(request)
    try:
        async with asyncio.timeout(FORM_SECONDS):
            form = await request.post()
    except TimeoutError:
        raise BodyTimeout(f"the body did not come within {FORM_SECONDS:g} s") from None
    name, password, token = (form.get(field, "") for field in ("name", "password", "token"))
    if not isinstance(name, str) or not isinstance(password, str) or not isinstance(token, str):
        raise MalformedRequest("not a form of text alone")
    if "\0" in name + password:
        raise MalformedRequest("not a form of text alone")
    if token.strip():
        return await visitors.sign_in_with_token(token.strip())
    return await visitors.sign_in(name, password, request.remote)


async def _sign_out(request: web.Request) -> web.Response:
    response = _see_console(request)
    response.del_cookie(COOKIE)
    try:
        _check_origin(request)
        await _visitors(request).sign_out(request.cookies.get(COOKIE, ""))
    except StoreUnavailable as error:
        # The visit has ended; the session behind it ends by itself.
        log.warning("session_left_to_end", cause=repr(error.__cause__ or error))
    except InsufficientPermission as error:
        return web.Response(text=error.detail, status=error.http_status)
    return response


def _check_origin(request: web.Request) -> None:
    """Refuse a form that another site's page sends (Origin, RFC 6454 section 7)."""
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.host:
        raise InsufficientPermission("the form was sent by the page of another site")


def _visitors(request: web.Request) -> Visitors:
    visitors = request.app[STATUS].visitors
    if visitors is None:
        raise StoreUnavailable("the node is starting: sign in a moment later")
    return visitors


def _visitor(request: web.Request) -> Visitor | None:
    visitors, cookie = request.app[STATUS].visitors, request.cookies.get(COOKIE)
    return None if visitors is None or cookie is None else visitors.find(cookie)


def _words(request: web.Request) -> page.Words:
    asked = request.query.get("lang", request.headers.get("Accept-Language", ""))
    return CHINESE if prefers_chinese(asked) else ENGLISH


def _see_console(request: web.Request) -> web.Response:
    lang = request.query.get("lang", "")
    place = f"/?lang={lang}" if lang in ("en", "zh") else "/"
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": place})


def _page(request: web.Request, text: str, *, status: int = 200) -> web.Response:
    return web.Response(
        text=text,
        status=status,
        content_type="text/html",
        headers={
            "Content-Security-Policy": page.POLICY,
            "Content-Language": "zh" if _words(request) is CHINESE else "en",
            "Vary": "Accept-Language, Cookie",
        },
    )
