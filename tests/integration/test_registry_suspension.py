"""No write under a prefix is committed after the step that forbids it, and none delays the step."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa

from protocol.identifier import Identifier
from registry import identifiers
from registry.api.app import REGISTRY
from registry.identifiers import Condition
from registry.services import work
from tests.integration.registry_client import URL_VALUE, Node

_WAITING = """SELECT count(*) FROM pg_stat_activity
              WHERE datname = current_database() AND wait_event_type = 'Lock'"""


async def _until_waiting(node: Node, number: int) -> None:
    async with asyncio.timeout(20):
        while True:
            async with node.database.begin() as connection:
                if (await connection.execute(sa.text(_WAITING))).scalar_one() == number:
                    return
            await asyncio.sleep(0.01)


async def test_a_suspension_takes_its_turn_among_writers(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    prefix = await node.prefix(enterprise, key)
    registry = node.client.app[REGISTRY]
    async with asyncio.TaskGroup() as tasks, work(registry, node.operator) as first:
        await identifiers.put(
            first,
            Identifier.parse(f"{prefix}/BEFORE"),
            values=[URL_VALUE],
            template=None,
            when=Condition(),
        )
        suspension = tasks.create_task(
            node.call("POST", f"/prefixes/{prefix}/suspend", node.operator, {"reason": "unpaid"})
        )
        await _until_waiting(node, 1)
        body = {"values": [URL_VALUE]}
        second = tasks.create_task(node.call("PUT", f"/identifiers/{prefix}/AFTER", key, body))
        await _until_waiting(node, 2)
    assert suspension.result()[0] == 200
    assert second.result()[0] == 409, "a writer that came later was let past the suspension"
    status, page, _ = await node.call("GET", f"/identifiers/{prefix}/BEFORE", node.operator)
    assert status == 200, page


async def test_writers_under_one_prefix_do_not_wait_for_each_other(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    prefix = await node.prefix(enterprise, key)
    async with work(node.client.app[REGISTRY], node.operator) as first:
        await identifiers.put(
            first,
            Identifier.parse(f"{prefix}/FIRST"),
            values=[URL_VALUE],
            template=None,
            when=Condition(),
        )
        async with asyncio.timeout(20):
            body = {"values": [URL_VALUE]}
            status, _, _ = await node.call("PUT", f"/identifiers/{prefix}/SECOND", key, body)
        assert status == 201
