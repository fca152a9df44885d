"""Up to 10 000 puts and deletions of identifiers in one transaction, by few statements."""

from __future__ import annotations

from registry.batch.model import Delete, Done, Operation, Put, Result, Stored, check_count
from registry.batch.service import SECONDS, require_writer, run

__all__ = [
    "SECONDS",
    "Delete",
    "Done",
    "Operation",
    "Put",
    "Result",
    "Stored",
    "check_count",
    "require_writer",
    "run",
]
