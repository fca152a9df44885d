"""Bodies of /api/v1/imports."""

from __future__ import annotations

import datetime
import uuid
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from registry.imports.mapping import Mapping

Format = Literal["csv", "xlsx", "ndjson"]
State = Literal["uploading", "queued", "running", "done", "checked", "failed", "cancelled"]


class Upload(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The query of an upload: how the file is to be taken in."""

    format: Format | None = None
    prefix: str | None = None
    template: str | None = None
    mapping: str | None = None
    mode: Literal["upsert", "insert"] = "upsert"
    dry_run: bool = False


class Listing(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The query of the list; limit and cursor are read apart."""

    state: State | None = None
    prefix: str | None = None
    limit: str | None = None
    cursor: str | None = None


class Nothing(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The body of a step that needs none."""


class Import(msgspec.Struct, frozen=True):
    """A file of identifiers and how far the node has come with it."""

    id: uuid.UUID
    state: Annotated[
        State,
        Meta(
            description="checked: a dry run has come to the end of the file. failed and cancelled"
            " may be resumed"
        ),
    ]
    format: Format
    prefix: str | None
    template: Annotated[
        str | None, Meta(description="What rows are checked by that name no template themselves")
    ]
    mapping: Mapping | None
    mode: Annotated[
        Literal["upsert", "insert"],
        Meta(description="insert: what is registered already is refused"),
    ]
    dry_run: Annotated[bool, Meta(description="Everything is checked, nothing is registered")]
    rows: Annotated[int, Meta(description="Decided so far: done and failed")]
    done: Annotated[int, Meta(description="Rows registered, or that a dry run found right")]
    failed: Annotated[int, Meta(description="Rows refused; see errors")]
    progress: Annotated[float, Meta(description="Share of the file that is done with, 0 to 1")]
    rate: Annotated[float | None, Meta(description="Rows per second of working time")]
    eta: Annotated[
        float | None,
        Meta(description="Seconds of work that are left, as it went so far; null: not known"),
    ]
    reason: Annotated[str | None, Meta(description="Why the file could not be read to its end")]
    created_at: datetime.datetime
    finished_at: datetime.datetime | None


class StoredMapping(msgspec.Struct, frozen=True):
    """A mapping that is kept under a name, for a template of a prefix."""

    prefix: str
    template: str
    name: str
    mapping: Mapping
    created_at: datetime.datetime
    updated_at: datetime.datetime


class MappingPage(msgspec.Struct, frozen=True):
    """A page of mappings, by template and name."""

    items: list[StoredMapping]
    next: str | None


class ImportPage(msgspec.Struct, frozen=True):
    """A page of imports, the newest first."""

    items: list[Import]
    next: str | None
