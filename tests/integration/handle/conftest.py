"""The node that these tests are about: its HTTP API and two workers that speak Handle."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from registry.database import Database
from tests.integration.handle_support import Node, running


@pytest.fixture
async def node(database: Database) -> AsyncIterator[Node]:
    async with running(database) as node:
        yield node
