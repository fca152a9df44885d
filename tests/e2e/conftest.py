"""A directory of its own for each node."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that PostgreSQL's user can reach: pytest closes its own to everybody."""
    made = Path(tempfile.mkdtemp(prefix="idnode-e2e-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)
