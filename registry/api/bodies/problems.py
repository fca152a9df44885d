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
    detail: Annotated[str, Meta(description="What is wrong, for people; the words may change")]
    rule: Annotated[
        str,
        Meta(
            pattern="^[a-z_]+$",
            description="The rule that is broken, for programs; the words stay as they are:"
            " required, unknown_field, type, enum, format, pattern, length, min_length, max_length,"
            " range, characters, json of a body or a parameter; those of an item of a template;"
            " else that of the type, such as conflict or invalid_value",
            examples=["max_length"],
        ),
    ]
    responseCode: Annotated[int, Meta(description="Handle response code, RFC 3652 section 2.2.2.2")]
    requestId: str
    field: Annotated[
        str | None, Meta(description="Where in the request, such as values[0].data.format")
    ] = None
