"""The body of a refusal."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Problem(msgspec.Struct, frozen=True):
    """Why a request was refused (RFC 9457)."""

    type: str
    title: Annotated[str, Meta(description="In Chinese where Accept-Language prefers it")]
    status: int
    detail: str
    responseCode: Annotated[int, Meta(description="Handle response code, RFC 3652 section 2.2.2.2")]
    requestId: str
    field: Annotated[
        str | None, Meta(description="Where in the request, such as values[0].data.format")
    ] = None
