"""Each permission of HS_ADMIN (RFC 3651 section 3.2.1) lets do its own thing and no other.

By message and by JSON: with the one bit somebody may, and with the eleven others may not.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from protocol import json_api
from protocol.errors import ResponseCode
from protocol.handle.admin import ALL_PERMISSIONS, Permission
from protocol.handle.header import OpCode, OpFlag
from protocol.handle.requests import (
    HandleRequest,
    RemoveRequest,
    Request,
    ResolutionRequest,
    ValuesRequest,
)
from protocol.values import HandleValue
from registry.admins import Identity
from registry.metrics import private_row
from registry.prefix_handles import SECRET_INDEX
from resolver.transports.handle_server import start_handle
from resolver.transports.limits import Limits
from tests.integration import rest_support
from tests.integration.handle_support import PLAIN, Actor, Clock, Node, admin, url
from tests.integration.rest_support import OTHER, OTHER_ID, PREFIX, SECRET, Front, basic

DERIVED = f"{PREFIX}.7"
NAME, NEW = f"{PREFIX}/P", f"{PREFIX}/NEW"
HANDLE, DERIVED_HANDLE = f"0.NA/{PREFIX}", f"0.NA/{DERIVED}"
PRICE = HandleValue(2, "PRICE", b"7", permissions=12)
SOMEBODY = Identity(300, HANDLE)
ACTOR = Actor(Identity(SECRET_INDEX, f"0.NA/{OTHER}"), SECRET.encode())
MORE = PLAIN & ~OpFlag.PUBLIC_ONLY


@dataclass(frozen=True)
class Deed:
    """What a permission is for, as a message, and as a method, a path and values in JSON."""

    op_code: OpCode
    body: Request
    method: str
    path: str
    values: tuple[HandleValue, ...] = ()
    flags: int = PLAIN
    refused: int = ResponseCode.INSUFFICIENT_PERMISSION


def _writes(op_code: OpCode, name: str, value: HandleValue, indexes: str = "") -> Deed:
    body = ValuesRequest(name, (value,))
    return Deed(op_code, body, "PUT", f"/{name}{indexes}", (value,))


def _removes(index: int) -> Deed:
    path = f"/{NAME}?index={index}"
    return Deed(OpCode.REMOVE_VALUE, RemoveRequest(NAME, (index,)), "DELETE", path)


def _deletes(name: str) -> Deed:
    return Deed(OpCode.DELETE_HANDLE, HandleRequest(name), "DELETE", f"/{name}")


DEEDS = {
    Permission.ADD_HANDLE: _writes(OpCode.CREATE_HANDLE, NEW, url(1)),
    Permission.DELETE_HANDLE: _deletes(NAME),
    Permission.ADD_DERIVED_PREFIX: _writes(OpCode.CREATE_HANDLE, DERIVED_HANDLE, url(2)),
    Permission.DELETE_DERIVED_PREFIX: _deletes(DERIVED_HANDLE),
    Permission.MODIFY_VALUE: _writes(OpCode.MODIFY_VALUE, NAME, url(1, "new"), "?index=1"),
    Permission.REMOVE_VALUE: _removes(1),
    Permission.ADD_VALUE: _writes(OpCode.ADD_VALUE, NAME, url(7), "?index=7"),
    Permission.MODIFY_ADMIN: _writes(
        OpCode.MODIFY_VALUE, NAME, admin(100, Permission.ADD_VALUE, SOMEBODY), "?index=100"
    ),
    Permission.REMOVE_ADMIN: _removes(100),
    Permission.ADD_ADMIN: _writes(
        OpCode.ADD_VALUE, NAME, admin(101, Permission.ADD_VALUE, SOMEBODY), "?index=101"
    ),
    # Who may not read a value is answered as if it were not there.
    Permission.READ_VALUE: Deed(
        OpCode.RESOLUTION,
        ResolutionRequest(NAME, (PRICE.index,)),
        "GET",
        f"/{NAME}?index={PRICE.index}",
        flags=MORE,
        refused=ResponseCode.VALUES_NOT_FOUND,
    ),
    Permission.LIST_HANDLES: Deed(
        OpCode.LIST_HANDLES, HandleRequest(HANDLE), "GET", f"?prefix={HANDLE}"
    ),
}


@pytest.fixture
async def front(database_url: str, tmp_path: Path) -> AsyncIterator[Front]:
    async with rest_support.running(database_url, tmp_path) as front:
        await front.sql.execute(
            """INSERT INTO prefixes (prefix, enterprise_id, hosting, status)
               SELECT $1, enterprise_id, hosting, status FROM prefixes WHERE prefix = $2""",
            DERIVED,
            PREFIX,
        )
        yield front


async def given(front: Front, permissions: Permission, permission: Permission) -> None:
    """Let nobody but ACTOR do anything under PREFIX, and no more than `permissions`."""
    held = {
        HANDLE: [admin(100, permissions, ACTOR.identity)],
        NAME: [url(1), PRICE, admin(100, Permission(0), SOMEBODY)],
    }
    if permission != Permission.ADD_DERIVED_PREFIX:
        held[DERIVED_HANDLE] = [url(2)]
    await front.sql.execute("DELETE FROM identifiers WHERE prefix || '/' || suffix = $1", NEW)
    for name in (HANDLE, NAME, DERIVED_HANDLE):
        prefix, _, suffix = name.partition("/")
        await front.sql.execute(
            "DELETE FROM identifiers WHERE prefix = $1 AND suffix_key = $2", prefix, suffix
        )
        if name in held:
            await front.sql.execute(
                """INSERT INTO identifiers (prefix, suffix_key, suffix, values)
                   VALUES ($1, $2, $2, $3)""",
                prefix,
                suffix,
                json.dumps([json_api.encode_value(value) for value in held[name]]),
            )


async def by_message(front: Front, deed: Deed) -> int:
    """Return the response code over TCP."""
    server = await start_handle(
        front.service, row=private_row(), host="127.0.0.1", port=0, limits=Limits()
    )
    node = Node(cast(Any, None), [server], [front.service], Clock())  # its HTTP API is not asked
    try:
        return await node.code(ACTOR, deed.op_code, deed.body, deed.flags)
    finally:
        await server.stop(1)


async def by_json(front: Front, deed: Deed) -> int:
    """Return the response code over HTTPS."""
    values = [json_api.encode_value(value) for value in deed.values]
    auth = basic(OTHER_ID)
    answer = await front.ask(deed.method, f"/api/handles{deed.path}", values or None, auth)
    if answer.code == ResponseCode.SUCCESS and deed.op_code == OpCode.RESOLUTION:
        assert [value["index"] for value in answer.json["values"]] == [PRICE.index]
    return answer.code


@pytest.mark.parametrize("way", [by_message, by_json])
@pytest.mark.parametrize("permission", list(Permission), ids=lambda one: one.name)
async def test_a_permission_alone_suffices_and_all_others_do_not(
    front: Front, permission: Permission, way: Any
) -> None:
    deed = DEEDS[permission]
    await given(front, permission, permission)
    code = await way(front, deed)
    assert code == ResponseCode.SUCCESS, f"{permission!r} suffices for {deed}"
    await given(front, ALL_PERMISSIONS & ~permission, permission)
    code = await way(front, deed)
    assert code == deed.refused, f"without {permission!r} nobody may do {deed}"
