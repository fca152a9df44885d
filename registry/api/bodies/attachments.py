"""Bodies of /api/v1/enterprises/{id}/attachments."""

from __future__ import annotations

import datetime
import uuid
from typing import Literal

import msgspec


class Attachment(msgspec.Struct, frozen=True):
    """What is known of an attachment beside its content."""

    id: uuid.UUID
    name: str
    media_type: Literal["application/pdf", "image/png", "image/jpeg"]
    size: int
    sha256: str
    actor: str
    created_at: datetime.datetime


class AttachmentList(msgspec.Struct, frozen=True):
    """The attachments of an enterprise."""

    items: list[Attachment]
