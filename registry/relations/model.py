"""What a relation is, and who sees it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

from protocol.errors import InvalidHandle, InvalidValue
from protocol.identifier import MAX_REGISTERED_CHARACTERS, PREFIX_HANDLE_PREFIX, Identifier
from registry.principals import STAFF, Principal

PART_OF, CONTAINS = "part-of", "contains"
REPLACED_BY, DERIVED_FROM = "replaced-by", "derived-from"
KINDS = (PART_OF, CONTAINS, REPLACED_BY, DERIVED_FROM)

INVERSE = {PART_OF: CONTAINS, CONTAINS: PART_OF}
"""Kinds that say the same from the other end."""

PUBLIC, PARTNERS, PRIVATE = "public", "partners", "private"
AUDIENCES = (PUBLIC, PARTNERS, PRIVATE)

MAX_DEPTH = 64
"""How many levels of parts, or of what they are parts of, are looked at."""

Key = tuple[str, str]
"""Prefix and suffix of an identifier in their canonical form."""


def key(identifier: Identifier) -> Key:
    """Return what an identifier is found by."""
    return identifier.prefix_key, identifier.suffix_key


@dataclass(frozen=True)
class Statement:
    """That `subject` is `kind` `target`, for `audience` to see.

    audience: None leaves that of a statement which holds already; a new one is for everybody.
    """

    subject: Identifier
    kind: str
    target: Identifier
    audience: str | None = None

    @property
    def stored(self) -> Statement:
        """The form in which it is stored: under one prefix the part says what it is part of."""
        if self.kind == CONTAINS and self.subject.prefix_key == self.target.prefix_key:
            return replace(self, subject=self.target, kind=PART_OF, target=self.subject)
        return self

    @property
    def key(self) -> tuple[Key, str, Key]:
        """What is equal for all spellings of one statement, whatever its audience."""
        return key(self.subject), self.kind, key(self.target)

    def check(self) -> Statement:
        """Return the statement if it can hold. Raises InvalidHandle, InvalidValue."""
        for name, identifier in (("subject", self.subject), ("target", self.target)):
            if identifier.prefix_key == PREFIX_HANDLE_PREFIX:
                raise InvalidHandle("a prefix handle has no relations", field=name)
            if len(str(identifier)) > MAX_REGISTERED_CHARACTERS:
                raise InvalidHandle(
                    f"an identifier in a relation has at most {MAX_REGISTERED_CHARACTERS}"
                    " characters",
                    field=name,
                )
        if self.subject == self.target:
            raise InvalidValue("an identifier has no relation to itself", field="target")
        return self


_MINE = "ANY (ARRAY(SELECT p.prefix FROM prefixes AS p WHERE p.enterprise_id = :viewer))"

VISIBLE = f"""(:sees_all OR r.prefix = {_MINE} OR r.valid_to IS NULL AND (
    r.audience = 'public' OR r.audience = 'partners' AND r.target_prefix = {_MINE}))"""
"""SQL condition on `r`, a row of relations, that the viewer may see it."""

OF_ONE_OWNER = """(r.prefix = r.target_prefix OR EXISTS (
    SELECT FROM prefixes AS a JOIN prefixes AS b ON a.enterprise_id = b.enterprise_id
    WHERE a.prefix = r.prefix AND b.prefix = r.target_prefix))"""
"""SQL condition on `r` that one enterprise owns both ends."""

HOLDS = "r.valid_to IS NULL"
HELD = "r.valid_from <= :at AND (r.valid_to IS NULL OR r.valid_to > :at)"
"""SQL conditions that it holds now, and that it held at a moment."""


def viewer(principal: Principal) -> dict[str, object]:
    """Return the parameters of VISIBLE."""
    nobody = uuid.UUID(int=0)
    return {
        "sees_all": principal.role in STAFF,
        "viewer": principal.enterprise_id or nobody,
    }
