"""The query of /api/v1/exports."""

from __future__ import annotations

from typing import Literal

import msgspec


class Export(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is exported, and how."""

    prefix: str
    format: Literal["ndjson", "csv", "xlsx"] = "ndjson"
    members: bool = True
