"""One enterprise tries to reach what is another's through every operation of the SNMS API.

The operations are taken from the OpenAPI document: one without a case here fails the test. What is
the stranger's own is tried in the same way, so that it was isolation that refused the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.integration import tenants
from tests.integration.registry_client import Node
from tests.integration.snms.support import Client, record

Body = Callable[[str], Any]
"""Takes the prefix that is aimed at."""

ITEM = {"name": "名称", "idType": "NAME", "metadata": {"minLength": 0, "maxLength": 60}, "state": 1}
HEAD = {
    "industryCategory": "C",
    "industrySpecific": "34",
    "industryTrade": "344",
    "industrySubclass": "3441",
    "type": 2,
}


def _record(prefix: str) -> Any:
    return record(f"{prefix}/SN-1", tenants.TEMPLATE, (2000, "NAME", "taken over"))


def _template(version: str) -> Body:
    return lambda prefix: {"prefix": prefix, "version": version, **HEAD, "items": [ITEM]}


def _named(version: str) -> Body:
    return lambda prefix: {"prefix": prefix, "version": version}


CASES: dict[str, tuple[str, Body | None]] = {
    "snmsDetail": ("?handle={prefix}/SN-1", None),
    "snmsCreate": ("", lambda prefix: _record(prefix) | {"handle": f"{prefix}/NEW"}),
    "snmsUpdate": ("", _record),
    "snmsBatchCreate": ("", lambda prefix: [_record(prefix) | {"handle": f"{prefix}/NEW-2"}]),
    "snmsBatchUpdate": ("", lambda prefix: [_record(prefix)]),
    "snmsBatchDelete": ("", lambda prefix: [f"{prefix}/NEW", f"{prefix}/NEW-2"]),
    "snmsV3GetTemplate": ("?prefix={prefix}&version=goods", None),
    "snmsV5GetTemplate": ("?prefix={prefix}&version=goods", None),
    "snmsV3CreateTemplate": ("", _template("third")),
    "snmsV5CreateTemplate": ("", _template("fifth")),
    "snmsV5ChangeTemplate": ("", lambda prefix: _template("fifth")(prefix) | {"items": []}),
    "snmsV3DeleteTemplate": ("", _named("third")),
    "snmsV5DeleteTemplate": ("", _named("fifth")),
    "snmsDelete": ("", lambda prefix: {"handle": f"{prefix}/SN-1"}),
}
OPEN = {"snmsToken", "snmsTokenHashed"}


async def _operations(node: Node) -> list[tuple[str, str, str]]:
    document = await (await node.client.get("/openapi.json")).json()
    return [
        (operation["operationId"], method.upper(), path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if not path.startswith("/api/v1/")
    ]


async def test_every_operation_has_a_case(node: Node) -> None:
    assert {name for name, _, _ in await _operations(node)} == set(CASES) | OPEN


async def test_no_operation_reaches_another_enterprise(node: Node) -> None:
    own, stranger = await tenants.make(node, 1), await tenants.make(node, 2)
    users = (f"mes {stranger.mark}", f"admin.{stranger.mark}")
    operations = [each for each in await _operations(node) if each[0] not in OPEN]
    operations.sort(key=lambda each: ("POST", "GET", "PUT", "DELETE").index(each[1]))
    before = await node.call("GET", f"/identifiers/{own.prefix}/SN-1", own.key)
    for name in users:
        client = await Client(node).sign_in(name, tenants.PASSWORD)
        for operation, method, path in operations:
            query, body = CASES[operation]
            aimed = path + query.format(prefix=own.prefix)
            sent = None if body is None else body(own.prefix)
            http, answer = await client.ask(method, aimed, sent)
            print(f"{name:16} {method:7} {aimed:55} {answer['status']} {answer['message']}")
            if operation.startswith("snmsBatch"):
                assert (http, answer["status"]) == (200, 1)
                assert {item["msg"] for item in answer["data"]} == {"没有权限"}, operation
            else:
                assert (http, answer["status"], answer["message"]) == (200, -3, "没有权限")
            assert own.mark not in str(answer)
    after = await node.call("GET", f"/identifiers/{own.prefix}/SN-1", own.key)
    assert before[:2] == after[:2]
    client = await Client(node).sign_in(users[0], tenants.PASSWORD)
    for operation, method, path in operations:
        query, body = CASES[operation]
        sent = None if body is None else body(stranger.prefix)
        answer = await client.must(method, path + query.format(prefix=stranger.prefix), sent)
        assert answer, operation
        if operation.startswith("snmsBatch"):
            assert {item["msg"] for item in answer} == {"success"}, operation
