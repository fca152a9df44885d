"""Attachments of enterprises, such as the scan of a licence: small files of few kinds.

What a file is, its first bytes and its end say, not who sends it. It is kept in pieces in a table
of its own, so that whoever reads an enterprise does not read its files.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from protocol.errors import Conflict, InvalidValue, NotFound, TooLarge, UnsupportedMediaType
from registry.enterprises.status import APPROVED, CLOSED, CORRECTABLE
from registry.principals import ADMINISTRATOR, OPERATOR, STAFF
from registry.schema import attachment_chunks, attachments, enterprises
from registry.services import Record, Work, check_text

MAX_BYTES = 5 << 20
MAX_FILES = 10
"""Attachments of one enterprise."""

MAX_NAME = 100
CHUNK_BYTES = 256 << 10

_PATH = re.compile(r"""[/\\:*?"<>|]|^[.\s]|\.\.|[.\s]$""")


@dataclass(frozen=True)
class Kind:
    """A kind of file: what its name ends with, its first bytes, and bytes near its end."""

    endings: tuple[str, ...]
    head: bytes
    tail: bytes
    tail_within: int


KINDS = {
    # ISO 32000-1 sections 7.5.2 and 7.5.5; readers look for %%EOF in the last 1024 bytes.
    "application/pdf": Kind((".pdf",), b"%PDF-", b"%%EOF", 1024),
    # ISO/IEC 15948 sections 5.2 and 11.2.5: the signature, and the empty chunk IEND with its CRC.
    "image/png": Kind((".png",), b"\x89PNG\r\n\x1a\n", b"IEND\xae\x42\x60\x82", 8),
    # ITU-T T.81 annex B: SOI and the marker after it, EOI; cameras put some padding behind it.
    "image/jpeg": Kind((".jpg", ".jpeg"), b"\xff\xd8\xff", b"\xff\xd9", 1024),
}


def check_name(name: str, media_type: str) -> str:
    """Return the name of a file in Unicode's composed form. Raises InvalidValue.

    media_type: what the file is; the name has to end so.
    """
    name = unicodedata.normalize("NFC", name)
    check_text(name, "name", maximum=MAX_NAME)
    if _PATH.search(name):
        raise InvalidValue(
            'the name of a file has none of / \\ : * ? " < > | in it, no two dots in a row, and no'
            " dot at an end",
            field="name",
        )
    endings = KINDS[media_type].endings
    if not name.lower().endswith(endings) or name.lower() in endings:
        raise InvalidValue(
            f"the name of such a file ends with {' or '.join(endings)}", field="name"
        )
    return name


def check_content(data: bytes, media_type: str) -> None:
    """Let pass a file that is what it is said to be.

    Raises UnsupportedMediaType, TooLarge, and InvalidValue for one that is cut short.
    """
    if len(data) > MAX_BYTES:
        raise TooLarge(f"an attachment has at most {MAX_BYTES} bytes")
    kind = KINDS[media_type]
    if not data.startswith(kind.head):
        raise UnsupportedMediaType(
            f"the file does not begin like {media_type}", field="Content-Type"
        )
    if kind.tail not in data[-kind.tail_within :]:
        raise InvalidValue("the file does not end as it should: it is cut short", field="body")


async def check_may_add(work: Work, enterprise_id: uuid.UUID) -> None:
    """Let pass who may add an attachment now: an operator, or an administrator of the enterprise.

    An enterprise that is filed, rejected or approved adds some itself. The row of the enterprise
    is locked until the transaction ends. Raises NotFound and Conflict.
    """
    status = await _lock(work, enterprise_id)
    if work.principal.role == ADMINISTRATOR and status not in (*CORRECTABLE, APPROVED):
        raise Conflict(f"the enterprise is {status}: what it has filed cannot be changed now")
    count = sa.select(sa.func.count()).where(attachments.c.enterprise_id == enterprise_id)
    if (await work.connection.scalar(count) or 0) >= MAX_FILES:
        raise Conflict(f"there are {MAX_FILES} attachments already: delete some first")


async def _lock(work: Work, enterprise_id: uuid.UUID) -> str:
    own = work.principal.role == ADMINISTRATOR
    work.principal.require(OPERATOR, enterprise=enterprise_id if own else None)
    query = sa.select(enterprises.c.status).where(enterprises.c.id == enterprise_id)
    status: str | None = await work.connection.scalar(query.with_for_update())
    if status is None:
        raise NotFound(f"no enterprise {enterprise_id}")
    if status == CLOSED:
        raise Conflict("the enterprise is closed")
    return status


async def add(
    work: Work, enterprise_id: uuid.UUID, name: str, media_type: str, data: bytes
) -> Record:
    """Store an attachment and return its row. Raises what the checks raise."""
    name = check_name(name, media_type)
    check_content(data, media_type)
    await check_may_add(work, enterprise_id)
    digest = hashlib.sha256(data).digest()
    row: Record = (
        await work.connection.execute(
            attachments.insert()
            .values(
                enterprise_id=enterprise_id,
                name=name,
                media_type=media_type,
                size=len(data),
                sha256=digest,
                actor=work.principal.actor,
                created_at=work.now,
            )
            .returning(attachments)
        )
    ).one()
    place = {"enterprise_id": enterprise_id, "attachment_id": row.id}
    await work.connection.execute(
        attachment_chunks.insert(),
        [
            place | {"number": number, "data": data[start : start + CHUNK_BYTES]}
            for number, start in enumerate(range(0, len(data), CHUNK_BYTES))
        ],
    )
    logged = {"id": str(row.id), "name": name, "bytes": len(data), "sha256": digest.hex()}
    await work.audit("attachment.add", str(enterprise_id), logged)
    return row


async def listed(work: Work, enterprise_id: uuid.UUID) -> Sequence[Record]:
    """Return the attachments of an enterprise, without their content; MAX_FILES at most.

    For staff and the enterprise itself. Raises NotFound.
    """
    work.principal.require(*STAFF, enterprise=enterprise_id, scope="enterprise:read")
    there = sa.select(enterprises.c.id).where(enterprises.c.id == enterprise_id)
    if await work.connection.scalar(there) is None:
        raise NotFound(f"no enterprise {enterprise_id}")
    query = sa.select(attachments).where(attachments.c.enterprise_id == enterprise_id)
    query = query.order_by(attachments.c.created_at, attachments.c.id)
    return (await work.connection.execute(query)).all()


async def read(
    work: Work, enterprise_id: uuid.UUID, attachment_id: uuid.UUID
) -> tuple[Record, bytes]:
    """Return the row of an attachment and its content; for those of `listed`. Raises NotFound."""
    work.principal.require(*STAFF, enterprise=enterprise_id, scope="enterprise:read")
    row = await _one(work, enterprise_id, attachment_id)
    pieces = await work.connection.scalars(
        sa.select(attachment_chunks.c.data)
        .where(
            attachment_chunks.c.enterprise_id == enterprise_id,
            attachment_chunks.c.attachment_id == attachment_id,
        )
        .order_by(attachment_chunks.c.number)
    )
    return row, b"".join(pieces)


async def _one(work: Work, enterprise_id: uuid.UUID, attachment_id: uuid.UUID) -> Record:
    query = sa.select(attachments).where(
        attachments.c.enterprise_id == enterprise_id, attachments.c.id == attachment_id
    )
    row: Record | None = (await work.connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"no attachment {attachment_id}")
    return row


async def delete(work: Work, enterprise_id: uuid.UUID, attachment_id: uuid.UUID) -> None:
    """Delete an attachment. For operators; for an administrator of the enterprise while it is filed
    or rejected: what was reviewed stays.

    Raises NotFound and Conflict.
    """  # noqa: D205
    status = await _lock(work, enterprise_id)
    if work.principal.role == ADMINISTRATOR and status not in CORRECTABLE:
        raise Conflict(f"the enterprise is {status}: what it has filed cannot be changed now")
    row = await _one(work, enterprise_id, attachment_id)
    await work.connection.execute(
        attachments.delete().where(
            attachments.c.enterprise_id == enterprise_id, attachments.c.id == attachment_id
        )
    )
    logged = {"id": str(row.id), "name": row.name, "sha256": row.sha256.hex()}
    await work.audit("attachment.delete", str(enterprise_id), logged)
