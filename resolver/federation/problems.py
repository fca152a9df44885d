"""What the top-level node says of a refusal: a problem as in RFC 9457."""

from __future__ import annotations

import msgspec


class _Problem(msgspec.Struct):
    detail: str = ""


def detail_of(answer: bytes) -> str:
    """Return the detail of a problem in JSON, or nothing for any other answer."""
    try:
        return msgspec.json.decode(answer, type=_Problem).detail
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
