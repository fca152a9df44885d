"""Bodies of /api/v1/imports."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Import(msgspec.Struct, frozen=True):
    """A file of identifiers and how far the node has come with it."""

    id: uuid.UUID
    state: Literal["uploading", "queued", "running", "done", "failed"]
    format: Literal["csv", "ndjson"]
    prefix: str | None
    template: Annotated[
        str | None, Meta(description="What rows are checked by that name no template themselves")
    ]
    rows: Annotated[int, Meta(description="Decided so far: done and failed")]
    done: Annotated[int, Meta(description="Rows registered")]
    failed: Annotated[int, Meta(description="Rows refused; see errors")]
    rate: Annotated[float | None, Meta(description="Rows per second of working time")]
    reason: Annotated[str | None, Meta(description="Why the file could not be read to its end")]
    created_at: datetime.datetime
    finished_at: datetime.datetime | None


class ImportPage(msgspec.Struct, frozen=True):
    """A page of imports, the newest first."""

    items: list[Import]
    next: str | None
