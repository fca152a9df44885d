"""No enterprise takes all connections to the database, whatever it sends at a time."""

from __future__ import annotations

import asyncio

import pytest

from protocol.errors import StoreUnavailable
from registry import shares
from registry.shares import Shares
from tests.integration.import_support import query, until
from tests.integration.registry_client import Node


async def _wait_for_locks(node: Node, count: int) -> bool:
    (found,) = await query(
        node,
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    return bool(found[0] >= count)


async def test_requests_of_one_enterprise_that_wait_for_a_lock_hold_up_no_other(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    enterprise, theirs = await node.enterprise(2)
    other = await node.prefix(enterprise, theirs)
    path, more = f"/identifiers/{prefix}/A", {"values": []}
    assert (await node.call("PUT", path, key, more))[0] == 201
    assert (await node.call("PUT", f"/identifiers/{other}/B", theirs, more))[0] == 201
    blocker = await node.database.connection()
    try:
        await blocker.execute("BEGIN")
        await blocker.execute("SELECT FROM identifiers WHERE suffix_key = 'A' FOR UPDATE")
        held = [asyncio.create_task(node.call("DELETE", path, key)) for _ in range(30)]
        await until(lambda: _wait_for_locks(node, 6), "as many wait as its share has")
        for _ in range(3):
            status, _, _ = await node.call("GET", f"/identifiers/{other}/B", theirs)
            assert status == 200, "others have connections of their own"
        assert not any(each.done() for each in held), "while the first still wait"
        await blocker.execute("ROLLBACK")
        statuses = sorted(answer[0] for answer in await asyncio.gather(*held))
        assert statuses == [204] + [404] * 29, "and those come in their order then"
    finally:
        await blocker.close()


async def test_tokens_of_one_holder_share_one_share_once_it_is_known() -> None:
    share = Shares(1)
    for token in ("a", "b"):
        async with share.hold(token, wait=1) as tell:
            tell("works")
    async with share.hold("a", wait=1):
        with pytest.raises(StoreUnavailable):
            async with share.hold("b", wait=0.01):
                pass
        async with share.hold("another", wait=1):
            with pytest.raises(StoreUnavailable):
                async with share.hold("one that nobody knows either", wait=0.01):
                    pass
    assert not share._shares, "nothing is kept of who has gone"


async def test_who_gives_up_waiting_takes_nothing_along() -> None:
    share = Shares(1)
    async with share.hold("a", wait=1):
        waiting = asyncio.create_task(share.hold("a", wait=20).__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with share.hold("a", wait=1):
        pass
    assert not share._shares


async def test_a_bounded_number_of_tokens_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "MAX_KNOWN", 3)
    share = Shares(1)
    for number in range(10):
        async with share.hold(str(number), wait=1) as tell:
            tell(f"works {number}")
    assert sorted(map(str, share._known.values())) == ["works 7", "works 8", "works 9"]
