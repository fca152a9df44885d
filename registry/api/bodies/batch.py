"""Bodies of /api/v1/identifiers:batch."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from registry.api.bodies.identifiers import Values
from registry.api.bodies.problems import Problem
from registry.batch.model import MAX_OPERATIONS

Name = Annotated[str, Meta(description="prefix/suffix, as spelled", examples=["88.118.35/SN-1"])]
Tags = Annotated[str, Meta(max_length=1000)] | None


class _Conditional(msgspec.Struct, forbid_unknown_fields=True, frozen=True, tag_field="op"):
    """if_match, if_none_match: as the headers If-Match and If-None-Match of a single write."""

    identifier: Name
    if_match: Tags = None
    if_none_match: Tags = None


class BatchPut(_Conditional, frozen=True, tag="put", kw_only=True):
    """Create or replace an identifier."""

    values: Values
    template: Annotated[str, Meta(max_length=255)] | None = None


class BatchDelete(_Conditional, frozen=True, tag="delete"):
    """Delete an identifier."""


Operation = BatchPut | BatchDelete


class Batch(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What shall be done. An identifier may stand in one operation alone."""

    operations: Annotated[list[Operation], Meta(min_length=1, max_length=MAX_OPERATIONS)]


class RawBatch(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A Batch whose operations are read one by one."""

    operations: list[msgspec.Raw]


class How(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The query."""

    atomic: bool = True


class BatchOutcome(msgspec.Struct, frozen=True):
    """What one operation did."""

    identifier: Annotated[str | None, Meta(description="null: it could not be read")]
    result: Literal["created", "replaced", "deleted", "refused"]
    version: Annotated[
        int | None, Meta(description="The one that it made, or that it ended; in quotes the ETag")
    ]
    problem: Annotated[Problem | None, Meta(description="Why it was refused")]


class BatchResult(msgspec.Struct, frozen=True):
    """What came of a batch."""

    id: Annotated[str, Meta(description="Under which the audit log tells of it")]
    created: int
    replaced: int
    deleted: int
    failed: Annotated[int, Meta(description="0 unless atomic=false")]
    results: Annotated[list[BatchOutcome], Meta(description="In the order of the operations")]
