"""Bodies of relations between identifiers."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Kind = Literal["part-of", "contains", "replaced-by", "derived-from"]
Audience = Annotated[
    Literal["public", "partners", "private"],
    Meta(
        description="Who is told: everybody; the owner of the target too; the owner of the subject"
        " alone"
    ),
]
MayBeAudience = Annotated[
    Audience | None,
    Meta(
        description="Left out or null: as it is, where the relation holds already; public, where it"
        " is new"
    ),
]
Depth = Annotated[int, Meta(ge=1, le=64)]
Since = Annotated[datetime.datetime, Meta(description="Since when it holds")]


class RelationAudience(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Who shall be told of a relation."""

    audience: MayBeAudience = None


class StatedRelation(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A relation to be stated."""

    subject: Annotated[str, Meta(examples=["88.118.35/PUMP-7"])]
    kind: Kind
    target: Annotated[str, Meta(examples=["88.118.36/MOTOR-3"])]
    audience: MayBeAudience = None


class NamedRelation(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A relation to be taken back."""

    subject: str
    kind: Kind
    target: str


class RelationChanges(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Relations to be taken back, and then to be stated; all, or on any error none."""

    put: Annotated[list[StatedRelation], Meta(max_length=10_000)] = []
    remove: Annotated[list[NamedRelation], Meta(max_length=10_000)] = []


class RelationCounts(msgspec.Struct, frozen=True):
    """What came of it."""

    created: int
    changed: Annotated[int, Meta(description="They held, and have another audience now")]
    unchanged: int
    removed: int


class Relation(msgspec.Struct, frozen=True):
    """A statement of the owner of the subject."""

    subject: str
    kind: Kind
    target: str
    audience: Audience
    valid_from: Since


class RelationPage(msgspec.Struct, frozen=True):
    """A page of relations."""

    items: list[Relation]
    next: str | None


class RelationVersion(msgspec.Struct, frozen=True):
    """A statement, for the time for which it held."""

    subject: str
    kind: Kind
    target: str
    audience: Audience
    valid_from: Since
    valid_to: Annotated[datetime.datetime | None, Meta(description="null: it holds now")]
    actor: Annotated[
        str | None,
        Meta(
            description="Who stated it, as the audit log names it; null: it is not known, or for"
            " another enterprise"
        ),
    ]
    ended_by: Annotated[
        str | None,
        Meta(
            description="Who took it back, or deleted the subject or the target; null: nobody, or"
            " for another enterprise"
        ),
    ]


class RelationHistory(msgspec.Struct, frozen=True):
    """A page of what an identifier stated, the newest first."""

    items: list[RelationVersion]
    next: str | None


Again = Annotated[
    bool,
    Meta(
        description="It stands at a lesser depth already, or is what was asked for: what hangs on"
        " it is listed there alone. So a circle of what several owners state has an end"
    ),
]
StatedBy = Annotated[Literal["part", "whole", "both"], Meta(description="Whose owner states it")]


class Part(msgspec.Struct, frozen=True):
    """A part, and what it is directly a part of."""

    handle: str
    depth: Depth
    whole: str
    stated_by: StatedBy
    since: Since
    again: Again


class PartPage(msgspec.Struct, frozen=True):
    """A page of parts, level by level."""

    items: list[Part]
    next: str | None


class Use(msgspec.Struct, frozen=True):
    """What the identifier is a part of, and by way of which part."""

    handle: str
    depth: Depth
    part: str
    stated_by: StatedBy
    since: Since
    again: Again


class UsePage(msgspec.Struct, frozen=True):
    """A page of uses, level by level."""

    items: list[Use]
    next: str | None


class RelationsQuery(msgspec.Struct, frozen=True):
    """What is asked of the relations of one identifier."""

    direction: Literal["out", "in"] = "out"
    kind: Kind | None = None


class WalkQuery(msgspec.Struct, frozen=True):
    """How far parts are followed, and whose statements."""

    depth: Depth = 1
    agreed: bool = False
