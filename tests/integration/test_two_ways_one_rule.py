"""What an identity may do is the same by a Handle message and by Handle JSON."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocol import json_api
from protocol.errors import ResponseCode
from protocol.handle.admin import AdminRecord, Permission
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.requests import HandleRequest, RemoveRequest, Request, ValuesRequest
from protocol.values import HandleValue, Reference
from registry.admins import Identity
from resolver.handle.service import Peer
from tests.integration import rest_support
from tests.integration.handle_support import PLAIN, ask, url
from tests.integration.rest_support import OTHER_ID, PREFIX, Front, basic, value

WAYS = ("message", "json")
EVERYTHING = Permission(0xFFF)
OK, REFUSED = ResponseCode.SUCCESS, ResponseCode.INSUFFICIENT_PERMISSION


@pytest.fixture
async def front(database_url: str, tmp_path: Path) -> AsyncIterator[Front]:
    async with rest_support.running(database_url, tmp_path) as front:
        yield front


async def by_message(front: Front, op_code: int, body: Request, flags: int = PLAIN) -> int:
    """Return the code for a request of OTHER_ID, who has proved it."""
    index, _, handle = OTHER_ID.partition(":")
    peer = Peer("tcp", "127.0.0.1", identity=Identity(int(index), handle))
    (answer,) = await front.service.answer(ask(op_code, body, flags), peer)
    return answer.header.response_code


async def by_json(front: Front, method: str, name: str, body: object = None) -> int:
    return (await front.ask(method, f"/api/handles/{name}", body, basic(OTHER_ID))).code


async def create(front: Front, way: str, name: str) -> int:
    if way == "message":
        return await by_message(front, OpCode.CREATE_HANDLE, ValuesRequest(name, (url(2),)))
    return await by_json(front, "PUT", f"{name}?overwrite=false", value(2, "x"))


async def hold(front: Front, name: str, *values: HandleValue) -> None:
    """Let an identifier hold these values and no others."""
    prefix, _, suffix = name.partition("/")
    await front.sql.execute(
        """INSERT INTO identifiers (prefix, suffix_key, suffix, values) VALUES ($1, $2, $2, $3)
           ON CONFLICT (prefix, suffix_key) DO UPDATE SET values = excluded.values""",
        prefix,
        suffix,
        json.dumps([json_api.encode_value(one) for one in values]),
    )


def admin(permissions: Permission, index: int = 100) -> HandleValue:
    identity, _, handle = OTHER_ID.partition(":")
    record = AdminRecord(Reference(handle, int(identity)), permissions)
    return HandleValue(index, "HS_ADMIN", record.encode())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("allowed", [True, False])
async def test_the_handle_of_a_prefix_is_created_by_who_may_derive_from_the_one_above(
    front: Front, way: str, allowed: bool
) -> None:
    needed = Permission.ADD_DERIVED_PREFIX
    await hold(front, "0.NA/88.118", admin(needed if allowed else EVERYTHING & ~needed))
    await hold(front, f"0.NA/{PREFIX}", admin(EVERYTHING))
    await front.sql.execute("DELETE FROM identifiers WHERE suffix_key = $1", PREFIX)
    assert await create(front, way, f"0.NA/{PREFIX}") == (OK if allowed else REFUSED)
    left = await front.sql.fetchval("SELECT count(*) FROM identifiers WHERE suffix = $1", PREFIX)
    assert left == allowed


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("allowed", [True, False])
async def test_other_identifiers_are_created_by_who_may_add_to_their_prefix(
    front: Front, way: str, allowed: bool
) -> None:
    needed = Permission.ADD_HANDLE
    await hold(front, "0.NA/88.118", admin(EVERYTHING))
    await hold(front, f"0.NA/{PREFIX}", admin(needed if allowed else EVERYTHING & ~needed))
    assert await create(front, way, f"{PREFIX}/NEW") == (OK if allowed else REFUSED)


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_there_is_told_to_who_may_create_it(front: Front, way: str) -> None:
    await hold(front, f"{PREFIX}/X", url(1))
    assert await create(front, way, f"{PREFIX}/X") == ResponseCode.INVALID_ADMIN
    await hold(front, f"0.NA/{PREFIX}", admin(Permission.ADD_HANDLE))
    assert await create(front, way, f"{PREFIX}/X") == ResponseCode.HANDLE_EXISTS


@pytest.mark.parametrize("way", WAYS)
async def test_who_may_change_nothing_does_not_try_out_what_is_there(
    front: Front, way: str
) -> None:
    hidden = HandleValue(2, "NOTE", b"hidden", permissions=0b1100)
    await hold(front, f"{PREFIX}/X", url(1), hidden, admin(Permission.READ_VALUE))
    for guess in (b"hidden", b"wrong"):
        same = HandleValue(2, "NOTE", guess, permissions=0b1100)
        if way == "message":
            body, flags = ValuesRequest(f"{PREFIX}/X", (same,)), PLAIN | OpFlag.OVERWRITE
            code = await by_message(front, OpCode.ADD_VALUE, body, flags)
        else:
            code = await by_json(front, "PUT", f"{PREFIX}/X?index=2", json_api.encode_value(same))
        assert code == REFUSED


@pytest.mark.parametrize("way", WAYS)
async def test_values_that_are_there_and_that_are_not(front: Front, way: str) -> None:
    name = f"{PREFIX}/X"
    await hold(front, name, url(1), url(2), admin(EVERYTHING))
    missing, there = ResponseCode.VALUES_NOT_FOUND, ResponseCode.VALUE_EXISTS
    if way == "message":
        two = ValuesRequest(name, (url(2, "new"), url(3)))
        assert await by_message(front, OpCode.ADD_VALUE, two) == there
        removed = RemoveRequest(name, (2, 7))
        assert await by_message(front, OpCode.REMOVE_VALUE, removed) == missing
        none = HandleRequest(f"{PREFIX}/NONE")
        assert await by_message(front, OpCode.DELETE_HANDLE, none) == 100
    else:
        values = [value(2, "new"), value(3, "x")]
        path = f"{name}?index=various&overwrite=false"
        assert await by_json(front, "PUT", path, values) == there
        assert await by_json(front, "DELETE", f"{name}?index=2&index=7") == missing
        assert await by_json(front, "DELETE", f"{PREFIX}/NONE") == 100
    held = await front.sql.fetchval("SELECT values FROM identifiers WHERE suffix_key = 'X'")
    assert [one["index"] for one in json.loads(held)] == [1, 2, 100], "part of it was done"


@pytest.mark.parametrize("way", WAYS)
async def test_a_value_that_stays_as_it_is_keeps_its_timestamp(front: Front, way: str) -> None:
    name = f"{PREFIX}/X"
    old = HandleValue(1, "URL", b"one", timestamp=1_000_000_000)
    await hold(front, name, old, admin(EVERYTHING))
    values = (HandleValue(1, "URL", b"one"), HandleValue(2, "URL", b"two"))
    if way == "message":
        body, flags = ValuesRequest(name, values), PLAIN | OpFlag.OVERWRITE
        assert await by_message(front, OpCode.ADD_VALUE, body, flags) == OK
    else:
        sent = [json_api.encode_value(one) for one in values]
        assert await by_json(front, "PUT", f"{name}?index=various", sent) == OK
    held = await front.sql.fetchval("SELECT values FROM identifiers WHERE suffix_key = 'X'")
    stamps = {one["index"]: one["timestamp"] for one in json.loads(held)}
    assert stamps[1] == "2001-09-09T01:46:40Z"
    assert stamps[2] > "2020"
