"""A node tells the top-level node where it is itself, whenever that has changed."""

from __future__ import annotations

from registry.database import Database
from registry.node_filing import file_node
from tests.integration.toplevel_support import site
from tests.integration.uplink_support import rows


async def test_site_is_filed_once_and_again_when_it_has_changed(database: Database) -> None:
    first, second = site(), site("192.0.2.8")
    filed = [await file_node(database, "88.118", one) for one in (first, first, second, first)]
    assert filed == [True, False, True, True]
    kept = [(row.subject, row.kind, row.payload) for row in await rows(database)]
    assert kept == [("88.118", "node", {"site": one}) for one in (first, second, first)]
