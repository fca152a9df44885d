"""The registry over HTTP, and an enterprise with a prefix in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from registry.database import Database
from tests.integration.registry_client import Node, running


@pytest.fixture
async def node(database: Database) -> AsyncIterator[Node]:
    async with running(database) as node:
        yield node


@pytest.fixture
async def works(node: Node) -> tuple[str, str]:
    """An enterprise's key and its prefix."""
    enterprise_id, key = await node.enterprise(1)
    return key, await node.prefix(enterprise_id, key)
