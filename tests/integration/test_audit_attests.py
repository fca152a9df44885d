"""The audit log attests what was written, so that whoever has it can see whether it still holds."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import sqlalchemy as sa

from registry.schema import audit_log
from tests.integration.import_support import imported
from tests.integration.registry_client import URL_VALUE, Node

NAME_VALUE = {
    "index": 2,
    "type": "NAME",
    "data": {"format": "string", "value": "离心泵 “5”\t\u2028"},
}


async def _details(node: Node, action: str, prefix: str = "") -> list[dict[str, Any]]:
    query = sa.select(audit_log.c.detail).where(
        audit_log.c.action == action, audit_log.c.subject.startswith(prefix)
    )
    async with node.database.begin() as connection:
        return list(await connection.scalars(query.order_by(audit_log.c.seq)))


def _sha256(values: list[dict[str, Any]]) -> str:
    """Return the digest of values as anybody computes it who has them from the registry."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


async def test_a_line_has_the_digest_of_the_values_that_the_registry_then_answers(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    path = f"/identifiers/{prefix}/SN-1"
    written = []
    for method, body in (
        ("PUT", {"values": [URL_VALUE, NAME_VALUE]}),
        ("PATCH", {"values": [{**NAME_VALUE, "index": 3}], "remove": [2]}),
    ):
        status, answer, _ = await node.call(method, path, key, body)
        assert status in (200, 201), answer
        written.append({"version": answer["version"], "values_sha256": _sha256(answer["values"])})
    assert (await node.call("DELETE", path, key))[0] == 204
    assert await _details(node, "identifier.put", prefix) == written[:1]
    assert await _details(node, "identifier.patch") == written[1:]
    (deleted,) = await _details(node, "identifier.delete")
    assert set(deleted) == {"version"}
    status, answer, _ = await node.call("GET", f"/identifiers/0.NA/{prefix}", key)
    assert status == 200, answer
    assert await _details(node, "identifier.put", "0.NA") == [
        {"values_sha256": _sha256(answer["values"])}
    ]


async def test_a_range_has_the_digest_of_what_its_members_share(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    body = {"prefix": prefix, "first": "SN-001", "last": "SN-100", "values": [URL_VALUE]}
    status, made, _ = await node.call("POST", "/ranges", key, body)
    assert status == 201, made
    status, changed, _ = await node.call(
        "PUT", f"/ranges/{prefix}/{made['id']}", key, {"values": [NAME_VALUE]}
    )
    assert status == 200, changed
    (created,), (replaced,) = [
        await _details(node, action) for action in ("range.create", "range.change")
    ]
    assert created["values_sha256"] == _sha256(made["values"])
    assert replaced["values_sha256"] == _sha256(changed["values"]) != created["values_sha256"]


async def test_an_import_says_of_each_row_of_the_file_whether_it_was_registered(
    node: Node, works: tuple[str, str]
) -> None:
    key, prefix = works
    file = (
        "identifier,URL,ttl\n"
        f"{prefix}/A,https://a.example,60\n"
        f"{prefix}/B,https://b.example,soon\n"
        "88.118.999/C,https://c.example,60\n"
        f"{prefix}/D,https://d.example,60\n"
    ).encode()
    record = await imported(node, key, file)
    assert (record["done"], record["failed"]) == (2, 2)
    (queued,) = await _details(node, "import.queue")
    assert queued["sha256"] == hashlib.sha256(file).hexdigest()
    (batch,) = await _details(node, "import.batch")
    assert (batch["done"], batch["failed"]) == (2, 2)
    assert batch["after_row"] < 2
    assert batch["to_row"] == 5
    assert batch["prefixes"] == {prefix: 2}
    assert batch["refused_sha256"] == hashlib.sha256(b"3\n4\n").hexdigest()
