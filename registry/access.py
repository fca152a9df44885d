"""Who sees which values: the one rule that every way to them obeys.

A value is for everybody, for partners that it names, or for its owner alone. Partners are named:

- ``enterprise:91350211M00000001Y``: an enterprise of this node, by its unified social credit code;
- ``300:0.NA/88.118.36``: a Handle identity, of any node; index 0 is any key of that handle;
- ``group:suppliers``: a group that the owner of the value keeps (registry/groups.py).

Who asks is a `Requester`, worked out anew for each request from what the database says at that
moment (registry/requesters.py): nothing of it is cached, so that a change takes effect at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from protocol.errors import IdnodeError, InvalidValue
from protocol.handle.keys import SECRET_KEY
from protocol.identifier import PREFIX_HANDLE_PREFIX, Identifier, fold
from protocol.values import ADMIN_READ, MAX_INDEX, HandleValue
from registry.credit_code import check_credit_code

ENTERPRISE, GROUP = "enterprise:", "group:"
MAX_PARTNER_CHARACTERS = 512

_GROUP_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_IDENTITY = re.compile(r"(0|[1-9][0-9]{0,9}):(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks for the values of one identifier.

    owner: it is the owner, or staff of the node, and sees all. administrator: an HS_ADMIN gives it
    the right to read values (RFC 3651 section 3.2.1). names: the partners that it counts as, in
    their canonical form, groups of the owner among them.
    """

    owner: bool = False
    administrator: bool = False
    names: frozenset[str] = frozenset()


EVERYBODY = Requester()
"""Who has not said who it is."""


def visible(values: Iterable[HandleValue], requester: Requester) -> list[HandleValue]:
    """Return those of the values of one identifier that `requester` may see, in their order."""
    return [value for value in values if _sees(requester, value)]


def _sees(requester: Requester, value: HandleValue) -> bool:
    if value.public or requester.owner:
        return True
    if requester.administrator and value.permissions & ADMIN_READ:
        return True
    return not requester.names.isdisjoint(value.partners)


def together(public: Sequence[HandleValue], hidden: Sequence[HandleValue]) -> list[HandleValue]:
    """Return what somebody sees: what everybody does, and what is `hidden` from others.

    The two were not read at one moment: what is hidden by now stands in the place of what was not.
    Who sees nothing more gets it in the order in which everybody does.
    """
    if not hidden:
        return list(public)
    found = {value.index: value for value in (*public, *hidden)}
    return [found[index] for index in sorted(found)]


def checked(values: Sequence[HandleValue]) -> Sequence[HandleValue]:
    """Return values that are about to be stored, with their partners in canonical form.

    Raises InvalidValue with the field for what names no partner.
    """
    if not any(value.partners for value in values):
        return values
    return [
        _checked(value, f"values[{position}].access.partners")
        for position, value in enumerate(values)
    ]


def _checked(value: HandleValue, field: str) -> HandleValue:
    if not value.partners:
        return value
    if value.type.upper() == SECRET_KEY:
        raise InvalidValue("a secret key is for nobody but its owner", field=field)
    named = [partner(one, f"{field}[{at}]") for at, one in enumerate(value.partners)]
    return replace(value, partners=tuple(dict.fromkeys(named)))


@lru_cache(4096)
def partner(text: str, field: str = "partners") -> str:
    """Return the canonical form of the name of a partner. Raises InvalidValue at `field`."""
    if len(text) > MAX_PARTNER_CHARACTERS:
        raise InvalidValue(f"longer than {MAX_PARTNER_CHARACTERS} characters", field=field)
    if text.startswith(ENTERPRISE):
        return ENTERPRISE + check_credit_code(text.removeprefix(ENTERPRISE), field)
    if text.startswith(GROUP):
        return GROUP + group_name(text.removeprefix(GROUP), field)
    match = _IDENTITY.fullmatch(text)
    if match is None or int(match[1]) > MAX_INDEX:
        raise InvalidValue(
            "not enterprise:CREDIT-CODE, group:NAME, nor an identity such as 300:0.NA/88.118.36",
            field=field,
        )
    try:
        return identity_name(int(match[1]), str(Identifier.parse(handle_of(match[2]))))
    except IdnodeError as error:
        raise InvalidValue(error.detail, field=field) from None


def group_name(text: str, field: str) -> str:
    """Return the name of a group, without ``group:``, if it may be one. Raises InvalidValue."""
    if not is_group_name(text):
        raise InvalidValue(
            "the name of a group has 1 to 64 of a-z, 0-9, and between these . _ -", field=field
        )
    return text


def is_group_name(text: str) -> bool:
    """Whether a group may have this name."""
    return _GROUP_NAME.fullmatch(text) is not None


def handle_of(text: str) -> str:
    """Return the handle that is named: a prefix alone stands for its prefix handle."""
    return text if "/" in text else f"{PREFIX_HANDLE_PREFIX}/{text}"


def identity_name(index: int, handle: str) -> str:
    """Return the form that is equal for all spellings of one identity."""
    return f"{index}:{fold(handle_of(handle))}"
