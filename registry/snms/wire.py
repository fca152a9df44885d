"""What goes over the wire of the SNMS API; names and limits are those of id-guide.

What an answer holds may be sent back in a request, so members that only answers have are known
here too, and not read.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from protocol.values import MAX_INDEX

MAX_HANDLE, MAX_VERSION, MAX_TYPE, MAX_VALUE = 255, 128, 128, 255
"""Characters of an identifier, of a templateVersion, of a type, of a value."""

MAX_AUTH = 255

MAX_ACCOUNT, MAX_GIVEN_PASSWORD = 64, 1024
"""Characters of the name of an account, and of a password as it is sent when one signs in."""

Handle = Annotated[str, Meta(min_length=1, max_length=MAX_HANDLE)]


class Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """Anything that a client sends."""


class SnmsCredentials(Wire, frozen=True):
    """Who wants a token; the password is plain or hashed, as the path says.

    There is room for those of administrators, which may be longer than those of applications.
    """

    username: Annotated[str, Meta(max_length=MAX_ACCOUNT)]
    password: Annotated[str, Meta(max_length=MAX_GIVEN_PASSWORD)]


class SnmsData(Wire, frozen=True):
    """The content of a value, which is always text."""

    format: Literal["string"]
    value: Annotated[str, Meta(max_length=MAX_VALUE)]


class SnmsValue(Wire, frozen=True):
    """One value of a record. auth: reserved; taken and not read."""

    index: Annotated[int, Meta(ge=1, le=MAX_INDEX)]
    type: Annotated[str, Meta(min_length=1, max_length=MAX_TYPE)]
    data: SnmsData
    auth: Annotated[str, Meta(max_length=MAX_AUTH)] | None = None


class SnmsRecord(Wire, frozen=True):
    """An identifier to register or to replace."""

    handle: Handle
    template_version: Annotated[str, Meta(min_length=1, max_length=MAX_VERSION)]
    value: list[SnmsValue]
    code: Any = None
    prefix: Any = None


class SnmsHandle(Wire, frozen=True):
    """An identifier to delete."""

    handle: Handle


class SnmsToken(msgspec.Struct, frozen=True):
    """A bearer token of the SNMS API."""

    token: str


class SnmsDetail(msgspec.Struct, frozen=True, rename="camel"):
    """What is registered of an identifier."""

    code: str
    prefix: str
    handle: str
    template_version: str
    value: list[SnmsValue]
