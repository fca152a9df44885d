"""Handle values: what an identifier resolves to (RFC 3651 section 3.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from protocol.errors import InvalidValue
from protocol.identifier import Identifier

MAX_INDEX = 2**31 - 1
MAX_TTL = 2**31 - 1
MAX_TYPE_BYTES = 255
MAX_DATA_BYTES = 65_536
MAX_VALUES = 2048
"""Values of one identifier (limit of the reference server for one response)."""

MAX_PARTNERS = 100
"""Partners that one value is shown to; a group of them counts as one."""

PUBLIC, PARTNERS, PRIVATE = "public", "partners", "private"
"""Audiences: everybody; who owns the value and those it names; who owns it alone."""

ADMIN_READ, ADMIN_WRITE, PUBLIC_READ, PUBLIC_WRITE = 8, 4, 2, 1
DEFAULT_PERMISSIONS = ADMIN_READ | ADMIN_WRITE | PUBLIC_READ
DEFAULT_TTL = 86_400


_OVERRIDING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_MAY_OVERRIDE = re.compile(b"\xe2(?:\x80[\xaa-\xae]|\x81[\xa6-\xa9])")
"""The same in UTF-8, for what may be no text."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A handle value elsewhere: ``index:handle``. Index 0 means any value of the handle."""

    handle: str
    index: int


@dataclass(frozen=True, slots=True)
class HandleValue:
    """One value.

    index: 1 to 2^31-1, unique within its identifier.
    type: such as ``URL``; compares without ASCII case.
    data: the bytes as they go on the wire.
    ttl: seconds a resolver may keep it, or, if `ttl_absolute`, the Unix time at which it ends.
    timestamp: Unix seconds of the last change; set by the server.
    permissions: the sum of ADMIN_READ 8, ADMIN_WRITE 4, PUBLIC_READ 2, PUBLIC_WRITE 1.
    partners: who may read it where not everybody may, see registry/access.py. It stays on this
        node: the protocols that carry values have no place for it.
    """

    index: int
    type: str
    data: bytes
    ttl: int = DEFAULT_TTL
    ttl_absolute: bool = False
    timestamp: int = 0
    permissions: int = DEFAULT_PERMISSIONS
    references: tuple[Reference, ...] = field(default=())
    partners: tuple[str, ...] = field(default=())

    @property
    def public(self) -> bool:
        """Whether anyone may read it."""
        return bool(self.permissions & PUBLIC_READ)

    @property
    def audience(self) -> str:
        """Whom it is for: PUBLIC, PARTNERS or PRIVATE."""
        if self.public:
            return PUBLIC
        return PARTNERS if self.partners else PRIVATE


def check_values(values: Sequence[HandleValue]) -> None:
    """Check the rules that bind one value or all of them. Raises InvalidValue with the field."""
    if len(values) > MAX_VALUES:
        raise InvalidValue(f"an identifier has at most {MAX_VALUES} values", field="values")
    seen: dict[int, int] = {}
    for position, value in enumerate(values):
        try:
            _check_value(value)
            if value.index in seen:
                raise InvalidValue(
                    f"index {value.index} stands at values[{seen[value.index]}] already",
                    field="index",
                )
        except InvalidValue as error:
            raise error.at(f"values[{position}]") from None
        seen[value.index] = position


def _check_value(value: HandleValue) -> None:
    if not 1 <= value.index <= MAX_INDEX:
        raise InvalidValue(f"an index is 1 to {MAX_INDEX}", field="index")
    if not value.type or len(value.type.encode("utf-8", "surrogatepass")) > MAX_TYPE_BYTES:
        raise InvalidValue(f"a type has 1 to {MAX_TYPE_BYTES} bytes", field="type")
    if not value.type.isprintable() or " " in value.type:
        raise InvalidValue("a type has printable characters and no spaces", field="type")
    if len(value.data) > MAX_DATA_BYTES:
        raise InvalidValue(f"data has at most {MAX_DATA_BYTES} bytes", field="data")
    if _MAY_OVERRIDE.search(value.data) and _is_text(value.data):
        raise InvalidValue(
            "text holds no characters that turn or isolate its direction (U+202A to U+202E,"
            " U+2066 to U+2069): others would read it in another order than it has",
            field="data",
        )
    if not 0 <= value.ttl <= MAX_TTL:
        raise InvalidValue(f"a ttl is 0 to {MAX_TTL}", field="ttl")
    if not 0 <= value.permissions <= 15:
        raise InvalidValue("permissions are four bits", field="permissions")
    if len(value.partners) > MAX_PARTNERS:
        raise InvalidValue(
            f"a value has at most {MAX_PARTNERS} partners; more make a group",
            field="access.partners",
        )
    for position, reference in enumerate(value.references):
        place = f"references[{position}]"
        if not 0 <= reference.index <= MAX_INDEX:
            raise InvalidValue(f"an index is 0 to {MAX_INDEX}", field=f"{place}.index")
        try:
            Identifier.parse(reference.handle)
        except Exception as error:
            raise InvalidValue(str(error), field=f"{place}.handle") from None


def is_overriding(text: str) -> bool:
    """Whether a text holds a bidirectional embedding, override or isolate, which values may not.

    Source: UAX #9, Unicode Bidirectional Algorithm, sections 2.1, 2.2 and 2.4. The marks of
    section 2.6 (U+061C, U+200E, U+200F) change no order of what is seen, and Arabic and Hebrew
    need them.
    """
    return not text.isascii() and _OVERRIDING.search(text) is not None


def _is_text(data: bytes) -> bool:
    """Whether data are shown as a text."""
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


def select(
    values: Iterable[HandleValue], types: Sequence[str] = (), indexes: Sequence[int] = ()
) -> list[HandleValue]:
    """Return the values asked for by type or by index (either suffices); all if neither is given.

    A type that ends in a dot also matches its sub-types and itself without the dot: ``URL.``
    matches ``URL`` and ``URL.mirror``. Types compare without ASCII case. RFC 3652 section 3.1.
    """
    if not types and not indexes:
        return list(values)
    wanted = {type_.lower() for type_ in types}
    families = tuple(type_ for type_ in wanted if type_.endswith("."))
    wanted.update(family[:-1] for family in families)
    return [
        value
        for value in values
        if value.index in indexes
        or value.type.lower() in wanted
        or (families and value.type.lower().startswith(families))
    ]
