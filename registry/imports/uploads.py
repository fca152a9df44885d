"""From the body of a request to a queued import: stored as it comes, in pieces.

A file is either queued whole or not there: what fails on the way is deleted at once, or, if the
database or this process is gone, by housekeeping.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa
import structlog

from protocol.errors import (
    BodyTimeout,
    Conflict,
    InvalidValue,
    MalformedRequest,
    StoreUnavailable,
    TooLarge,
)
from registry.database import Database
from registry.imports import mappings, room
from registry.imports.job import CHANNEL
from registry.imports.mapping import Mapping, check_mapping
from registry.imports.modes import UPSERT, Mode
from registry.imports.xlsx.reader import MAX_BYTES
from registry.prefixes import ACTIVE, HOSTED
from registry.principals import OPERATOR
from registry.schema import import_chunks, imports, prefixes
from registry.services import Work
from registry.templates import lookup
from registry.templates.checker import Checker

log = structlog.get_logger("idnode.imports")

MAX_UPLOAD_BYTES = 4 << 30
CHUNK_BYTES = 1 << 20

READ_SECONDS = 30.0
"""How long a sender may be silent."""


@dataclass(frozen=True)
class Terms:
    """How a file is to be taken in.

    format: csv, xlsx or ndjson. prefix: the one that bare suffixes stand under. template: the one
    of the prefix that rows are checked by which name none. dry_run: check all, register nothing.
    mapping: of the columns of a table to the template, or the name of one that is kept.
    """

    format: str
    prefix: str | None = None
    template: str | None = None
    mode: Mode = UPSERT
    dry_run: bool = False
    mapping: Mapping | str | None = None


@dataclass(frozen=True)
class Stored:
    """What has been stored of a file: its length in bytes, and its SHA-256."""

    size: int
    digest: bytes


async def begin(work: Work, terms: Terms) -> uuid.UUID:
    """Make an import that waits for its file; return its id.

    Raises InsufficientPermission, Conflict for a prefix that is not hosted here and active and for
    too many imports or bytes of them, and InvalidValue for a template that is not there or has no
    prefix.
    """
    enterprise_id = work.principal.enterprise_id
    work.principal.require(OPERATOR, enterprise=enterprise_id, scope="imports")
    await room.check_another(work.connection, enterprise_id)
    await room.check_bytes(work.connection, enterprise_id)
    if terms.prefix is not None:
        await _check_prefix(work, terms.prefix)
    template, mapping = None, None
    if terms.template is not None:
        checker = await _checker(work, terms.prefix, terms.template)
        template, mapping = str(checker.reference), await _mapping(work, terms, checker)
    elif terms.mapping is not None:
        raise InvalidValue("a mapping is one to a template: name it", field="template")
    made: uuid.UUID = (
        await work.connection.execute(
            imports.insert()
            .values(
                enterprise_id=enterprise_id,
                actor=work.principal.actor,
                format=terms.format,
                prefix=terms.prefix,
                template=template,
                mapping=None if mapping is None else msgspec.to_builtins(mapping),
                mode=terms.mode,
                dry_run=terms.dry_run,
                state="uploading",
            )
            .returning(imports.c.id)
        )
    ).scalar_one()
    return made


async def _checker(work: Work, prefix: str | None, template: str) -> Checker:
    """Return the checker of the exact version that is meant by `template`."""
    if prefix is None:
        raise InvalidValue("an import by a template names its prefix", field="prefix")
    return (await lookup.wanted(work, prefix, template)).usable(None)


async def _mapping(work: Work, terms: Terms, checker: Checker) -> Mapping | None:
    """Return the mapping that is meant. Raises InvalidValue for one that does not fit."""
    mapping = terms.mapping
    if mapping is None:
        return None
    if terms.format == "ndjson":
        raise InvalidValue("rows of ndjson have no columns", field="mapping")
    if isinstance(mapping, str):
        name, template = mapping, checker.reference.name
        mapping = await mappings.named(work, terms.prefix or "", template, name)
    try:
        check_mapping(mapping, checker)
    except InvalidValue as error:
        raise error.at("mapping") from None
    return mapping


async def _check_prefix(work: Work, prefix: str) -> None:
    row = (
        await work.connection.execute(sa.select(prefixes).where(prefixes.c.prefix == prefix))
    ).one_or_none()
    owner = work.principal.enterprise_id
    if row is None or owner not in (None, row.enterprise_id):
        raise Conflict(f"prefix {prefix} is not registered for this enterprise", field="prefix")
    if row.hosting != HOSTED:
        raise Conflict(f"prefix {prefix} is delegated: register at its own node", field="prefix")
    if row.status != ACTIVE:
        raise Conflict(f"prefix {prefix} is {row.status}, not active", field="prefix")


def maximum(format_: str) -> int:
    """Return how many bytes a file may have."""
    return min(MAX_UPLOAD_BYTES, MAX_BYTES) if format_ == "xlsx" else MAX_UPLOAD_BYTES


async def store(
    database: Database,
    import_id: uuid.UUID,
    read: Callable[[], Awaitable[bytes]],
    *,
    maximum: int,
    silence: float = READ_SECONDS,
) -> Stored:
    """Store a body under an import that waits for it, one short transaction for each piece.

    read: returns the next bytes of the body, none at its end. maximum: in bytes. silence: seconds
    that one `read` may take. Raises TooLarge, MalformedRequest for an empty body, BodyTimeout for a
    silent sender, Conflict if the import is gone or too much is kept of its enterprise,
    StoreUnavailable, and whatever `read` raises.
    """
    digest = hashlib.sha256()
    size = 0
    async for number, piece in _pieces(read, silence):
        size += len(piece)
        if size > maximum:
            raise TooLarge(f"a file has at most {maximum} bytes")
        digest.update(piece)
        await _store_piece(database, import_id, number, piece)
    if not size:
        raise MalformedRequest("the body is empty")
    return Stored(size, digest.digest())


async def _pieces(
    read: Callable[[], Awaitable[bytes]], silence: float
) -> AsyncIterator[tuple[int, bytes]]:
    """Cut the body into numbered pieces of CHUNK_BYTES; the last may be shorter."""
    buffer = bytearray()
    number = 0
    while True:
        try:
            async with asyncio.timeout(silence):
                data = await read()
        except TimeoutError:
            raise BodyTimeout(f"the body did not go on within {silence:.0f} s") from None
        buffer += data
        while len(buffer) >= CHUNK_BYTES or (buffer and not data):
            yield number, bytes(buffer[:CHUNK_BYTES])
            del buffer[:CHUNK_BYTES]
            number += 1
        if not data:
            return


async def _store_piece(database: Database, import_id: uuid.UUID, number: int, piece: bytes) -> None:
    async with database.begin() as connection:
        grown = await connection.execute(
            imports.update()
            .where(imports.c.id == import_id, imports.c.state == "uploading")
            .values(bytes=imports.c.bytes + len(piece), updated_at=sa.func.now())
            .returning(imports.c.enterprise_id)
        )
        row = grown.one_or_none()
        if row is None:
            raise Conflict("the upload took too long and was given up")
        await room.check_bytes(connection, row.enterprise_id)
        await connection.execute(
            import_chunks.insert().values(import_id=import_id, number=number, data=piece)
        )


async def queue(work: Work, import_id: uuid.UUID, stored: Stored) -> None:
    """Hand a complete file over to the jobs process. Raises Conflict if the import is gone."""
    queued = await work.connection.execute(
        imports.update()
        .where(imports.c.id == import_id, imports.c.state == "uploading")
        .where(imports.c.bytes == stored.size)
        .values(state="queued", updated_at=sa.func.now())
    )
    if not queued.rowcount:
        raise Conflict("the upload took too long and was given up")
    await work.audit(
        "import.queue",
        str(import_id),
        {"bytes": stored.size, "sha256": stored.digest.hex()},
    )
    await wake(work)


async def wake(work: Work) -> None:
    """Tell the jobs process, once the transaction has committed, that an import is queued."""
    await work.connection.execute(sa.select(sa.func.pg_notify(CHANNEL, "")))


async def discard(work: Work, import_id: uuid.UUID) -> None:
    """Delete an upload that is not wanted after all, in the caller's transaction."""
    await work.connection.execute(_deletion(import_id))


@contextlib.asynccontextmanager
async def discarded_on_error(database: Database, import_id: uuid.UUID) -> AsyncIterator[None]:
    """Delete the upload if the block ends with an exception; one that is queued stays."""
    try:
        yield
    except BaseException:
        await asyncio.shield(_discard(database, import_id))
        raise


async def _discard(database: Database, import_id: uuid.UUID) -> None:
    try:
        async with database.begin() as connection:
            await connection.execute(_deletion(import_id))
    except StoreUnavailable as error:
        log.warning("upload_left_to_housekeeping", id=str(import_id), error=str(error))


def _deletion(import_id: uuid.UUID) -> sa.Delete:
    # The chunks go with it (ON DELETE CASCADE).
    return imports.delete().where(imports.c.id == import_id, imports.c.state == "uploading")
