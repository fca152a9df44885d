"""Answers whose body is sent while it is made."""

from __future__ import annotations

import structlog
from aiohttp import web

from protocol.errors import IdnodeError
from registry.api.requests import REQUEST_ID

log = structlog.get_logger("idnode.api")


def cut_off(request: web.Request, error: Exception) -> None:
    """End the connection within the body: its status said success, which it no longer is."""
    log.warning(
        "answer_cut_off",
        request_id=request.get(REQUEST_ID),
        error=repr(error),
        cause=repr(error.__cause__),
        exc_info=not isinstance(error, IdnodeError | ConnectionError | TimeoutError),
    )
    if request.transport is not None:
        request.transport.abort()
