"""Batches: many puts and deletions in one transaction, held to every rule of single writes."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from registry.api.identifier_batches import MAX_BODY_BYTES
from registry.schema import audit_log, change_log, identifier_history
from tests.integration.registry_client import URL_VALUE, Node

Works = tuple[str, str]
"""An enterprise's key and its prefix."""

PATH = "/identifiers:batch"


def put(identifier: str, text: str = "https://a.example", **more: Any) -> dict[str, Any]:
    value = {**URL_VALUE, "data": {"format": "string", "value": text}}
    return {"op": "put", "identifier": identifier, "values": [value], **more}


def note(identifier: str) -> dict[str, Any]:
    """Return a put that is right for a prefix handle too, whose index 1 is the node's."""
    values = [{"index": 7, "type": "NOTE", "data": "x"}]
    return {"op": "put", "identifier": identifier, "values": values}


def delete(identifier: str, **more: Any) -> dict[str, Any]:
    return {"op": "delete", "identifier": identifier, **more}


async def send(
    node: Node, token: str, *operations: Any, query: str = "", **headers: str
) -> tuple[int, Any]:
    body = {"operations": list(operations)}
    status, answer, _ = await node.call("POST", PATH + query, token, body, **headers)
    return status, answer


async def said(node: Node, token: str, identifier: str) -> str | None:
    """Return what an identifier says; None: it is not registered."""
    status, body, _ = await node.call("GET", f"/identifiers/{identifier}", token)
    if status == 404:
        return None
    assert status == 200, body
    text: str = body["values"][0]["data"]["value"]
    return text


async def lines(node: Node, action: str = "identifier.batch") -> list[Any]:
    async with node.database.begin() as connection:
        query = sa.select(audit_log).where(audit_log.c.action == action)
        return list((await connection.execute(query.order_by(audit_log.c.seq))).all())


async def test_puts_and_deletions_are_one_transaction_with_history_and_feed(
    node: Node, works: Works
) -> None:
    key, prefix = works
    status, first = await send(node, key, *(put(f"{prefix}/a-{n}", "old") for n in range(5)))
    assert (status, first["created"], first["failed"]) == (200, 5, 0), first
    node.changes.clear()
    before = (await node.counts())["change_log"]
    status, answer = await send(
        node, key, put(f"{prefix}/A-1", "new"), delete(f"{prefix}/a-2"), put(f"{prefix}/new")
    )
    assert status == 200, answer
    assert (answer["created"], answer["replaced"], answer["deleted"]) == (1, 1, 1)
    assert [each["result"] for each in answer["results"]] == ["replaced", "deleted", "created"]
    assert [each["identifier"] for each in answer["results"]] == [
        f"{prefix}/A-1",
        f"{prefix}/a-2",
        f"{prefix}/new",
    ]
    assert await said(node, key, f"{prefix}/a-1") == "new"
    assert await said(node, key, f"{prefix}/a-2") is None
    status, body, response = await node.call("GET", f"/identifiers/{prefix}/new", key)
    assert response.headers["ETag"] == f'"{answer["results"][2]["version"]}"'
    assert body["suffix"] == "new"
    [(changed, suffixes)] = node.changes
    assert (changed, sorted(suffixes or ())) == (prefix, ["A-1", "A-2", "NEW"])
    async with node.database.begin() as connection:
        rows = (await connection.execute(sa.select(identifier_history))).all()
        assert {(row.suffix_key, row.deleted) for row in rows} == {("A-1", False), ("A-2", True)}
        assert {row.ended_by for row in rows} == {rows[0].actor}
        written = (await connection.execute(sa.select(change_log))).all()
    assert len(written) - before <= 3, "a line for each statement, not for each identifier"


async def test_a_refusal_refuses_all_and_names_the_operation(node: Node, works: Works) -> None:
    key, prefix = works
    before = await node.counts()
    wrong = put(f"{prefix}/two")
    wrong["values"].append({"index": 0, "type": "URL", "data": "x"})
    for bad, status, field in (
        (wrong, 422, "operations[1].values[1].index"),
        ({"op": "put", "identifier": f"{prefix}/two"}, 422, "operations[1].values"),
        ({**put(f"{prefix}/two"), "more": 1}, 422, "operations[1].more"),
        ({"op": "move", "identifier": f"{prefix}/two"}, 422, "operations[1].op"),
        ("text", 422, "operations[1]"),
        (put(f"{prefix}/one"), 422, "operations[1].identifier"),
        (put(f"{prefix}/ONE"), 422, "operations[1].identifier"),
        (put("no-slash"), 422, "operations[1].identifier"),
        (put(f"{prefix}/a\u202eb"), 400, "operations[1].identifier"),
        (put(f"{prefix}/template/x"), 400, "operations[1].suffix"),
        (put(f"{prefix}/two", "a\0b"), 422, "operations[1].values[0].data.value"),
        (put("88.118.99/x"), 400, "operations[1]"),
        (put(f"{prefix}/two", if_match='"1"'), 412, "operations[1].If-Match"),
        (put(f"{prefix}/two", if_match="1"), 400, "operations[1].if_match"),
        (put(f"{prefix}/two", template="none"), 422, "operations[1].template"),
        (delete(f"{prefix}/absent"), 404, "operations[1]"),
        (note("0.NA/88.118"), 403, "operations[1]"),
    ):
        got, problem = await send(node, key, put(f"{prefix}/one"), bad)
        assert (got, problem.get("field")) == (status, field), (bad, problem)
    assert await node.counts() == before, "nothing at all was written"
    assert await said(node, key, f"{prefix}/one") is None


async def test_the_reason_is_told_in_chinese_for_the_whole_and_for_each_part(
    node: Node, works: Works
) -> None:
    key, prefix = works
    refused = delete(f"{prefix}/absent")
    status, problem = await send(node, key, refused, Accept_Language="zh-CN")
    assert (status, problem["detail"]) == (404, f"{prefix}/absent 未注册")
    status, answer = await send(node, key, refused, query="?atomic=false", Accept_Language="zh-CN")
    assert status == 200
    assert answer["results"][0]["problem"]["detail"] == f"{prefix}/absent 未注册"


async def test_without_atomic_each_operation_stands_for_itself(node: Node, works: Works) -> None:
    key, prefix = works
    _, made = await send(node, key, put(f"{prefix}/there"), put(f"{prefix}/goes"))
    version = made["results"][1]["version"]
    wrong = put(f"{prefix}/wrong")
    wrong["values"][0]["index"] = 0
    status, answer = await send(
        node,
        key,
        put(f"{prefix}/good"),
        wrong,
        put(f"{prefix}/there", if_none_match="*"),
        delete(f"{prefix}/absent"),
        put("88.118.99/x"),
        {"op": "put"},
        delete(f"{prefix}/goes", if_match=f'"{version}"'),
        query="?atomic=false",
    )
    assert status == 200, answer
    assert [each["result"] for each in answer["results"]] == [
        "created",
        *["refused"] * 5,
        "deleted",
    ]
    assert (answer["created"], answer["deleted"], answer["failed"]) == (1, 1, 5)
    problems = [each["problem"] for each in answer["results"]]
    assert [p and (p["status"], p.get("field")) for p in problems] == [
        None,
        (422, "values[0].index"),
        (412, "If-None-Match"),
        (404, None),
        (400, None),
        (422, "identifier"),
        None,
    ]
    assert answer["results"][5]["identifier"] is None
    assert await said(node, key, f"{prefix}/good") == "https://a.example"
    assert await said(node, key, f"{prefix}/goes") is None
    assert await said(node, key, f"{prefix}/wrong") is None


async def test_conditions_are_those_of_single_writes(node: Node, works: Works) -> None:
    key, prefix = works
    name = f"{prefix}/one"
    status, made = await send(node, key, put(name, "1", if_none_match="*"))
    assert status == 200
    tag = f'"{made["results"][0]["version"]}"'
    for conditions, expected in (
        ({"if_none_match": "*"}, 412),
        ({"if_match": '"1"'}, 412),
        ({"if_match": tag}, 200),
        ({"if_match": tag}, 412),
        ({"if_match": "*"}, 200),
    ):
        status, answer = await send(node, key, put(name, "2", **conditions))
        assert status == expected, (conditions, answer)


async def test_the_audit_log_has_one_line_that_attests_all_of_it(node: Node, works: Works) -> None:
    key, prefix = works
    await send(node, key, put(f"{prefix}/b"))
    _, answer = await send(
        node,
        key,
        put(f"{prefix}/a", "α"),
        delete(f"{prefix}/absent"),
        delete(f"{prefix}/b"),
        query="?atomic=false",
    )
    line = (await lines(node))[-1]
    assert (line.subject, line.action) == (answer["id"], "identifier.batch")
    assert line.actor.startswith("key:")
    _, body, _ = await node.call("GET", f"/identifiers/{prefix}/a", key)
    values = hashlib.sha256(msgspec.json.encode(body["values"], order="sorted")).hexdigest()
    created, _, deleted = answer["results"]
    done = (
        f"created {created['version']} {values} {prefix}/A\n"
        f"deleted {deleted['version']} - {prefix}/B\n"
    )
    assert line.detail == {
        "created": 1,
        "replaced": 0,
        "deleted": 1,
        "failed": 1,
        "prefixes": {prefix: 2},
        "done_sha256": hashlib.sha256(done.encode()).hexdigest(),
    }


async def test_a_template_checks_each_put_and_references_see_the_batch(
    node: Node, works: Works
) -> None:
    key, prefix = works
    items = [
        {
            "index": 2000,
            "type": "NAME",
            "name": "名称",
            "data": {"kind": "string"},
            "required": True,
        },
        {
            "index": 2001,
            "type": "PART",
            "name": "部件",
            "data": {"kind": "identifier", "registered": True},
        },
    ]
    body = {"prefix": prefix, "name": "goods", "items": items}
    status, made, _ = await node.call("POST", "/templates", key, body)
    assert status == 201, made
    path = f"/templates/{prefix}/goods/1/publish"
    assert (await node.call("POST", path, key))[0] == 200

    def good(name: str, part: str | None = None, **more: Any) -> dict[str, Any]:
        values = [{"index": 2000, "type": "NAME", "data": name}]
        if part is not None:
            values.append({"index": 2001, "type": "PART", "data": f"{prefix}/{part}"})
        return {
            "op": "put",
            "identifier": f"{prefix}/{name}",
            "values": values,
            "template": "goods",
            **more,
        }

    status, problem = await send(node, key, {**good("x"), "values": []})
    assert (status, problem["field"]) == (422, "operations[0].values"), problem
    status, problem = await send(node, key, good("x", "nowhere"))
    assert (status, problem["field"]) == (422, "operations[0].values[1]"), problem
    # a part may come later in the same batch
    status, answer = await send(node, key, good("whole", "part"), good("part"))
    assert status == 200, answer
    status, body, _ = await node.call("GET", f"/identifiers/{prefix}/whole", key)
    assert body["template"] == "goods/1"
    # and must not go in it
    status, problem = await send(node, key, good("other", "part"), delete(f"{prefix}/part"))
    assert (status, problem["field"]) == (422, "operations[0].values[1]"), problem
    # what is refused takes with it what relied on it
    status, answer = await send(
        node,
        key,
        good("c1", "c2"),
        good("c2", "c3"),
        good("c3", "nowhere"),
        good("c4", "part"),
        query="?atomic=false",
    )
    results = [each["result"] for each in answer["results"]]
    assert results == ["refused", "refused", "refused", "created"], answer


async def test_members_of_ranges_are_written_as_single_writes_do(node: Node, works: Works) -> None:
    key, prefix = works
    body = {"prefix": prefix, "first": "N-1", "last": "N-9", "values": [URL_VALUE]}
    status, made, _ = await node.call("POST", "/ranges", key, body)
    assert status == 201, made
    tag = f'"{made["version"]}"'
    status, answer = await send(
        node,
        key,
        put(f"{prefix}/N-1", "own", if_match=tag),
        delete(f"{prefix}/N-2"),
        put(f"{prefix}/N-3", "no", if_none_match="*"),
        put(f"{prefix}/N-4", "no", if_match='"1"'),
        query="?atomic=false",
    )
    results = [each["result"] for each in answer["results"]]
    assert results == ["replaced", "deleted", "refused", "refused"], answer
    assert await said(node, key, f"{prefix}/N-1") == "own"
    assert await said(node, key, f"{prefix}/N-2") is None
    history = await node.call("GET", f"/identifiers/{prefix}/N-1/history", key)
    assert [each["version"] for each in history[1]["items"]][1] == made["version"]
    # what was refused follows the range on
    changed = {"values": [{**URL_VALUE, "data": {"format": "string", "value": "later"}}]}
    status, _, _ = await node.call("PUT", f"/ranges/{prefix}/{made['id']}", key, changed)
    assert status == 200
    assert await said(node, key, f"{prefix}/N-4") == "later"


async def test_a_batch_may_write_under_several_prefixes_and_to_prefix_handles(
    node: Node, works: Works
) -> None:
    key, prefix = works
    status, enterprises, _ = await node.call("GET", "/enterprises", key)
    second = await node.prefix(enterprises["items"][0]["id"], key)
    status, answer = await send(
        node, key, put(f"{prefix}/x"), put(f"{second}/x"), note(f"0.NA/{prefix}")
    )
    assert (status, answer["created"], answer["replaced"]) == (200, 2, 1), answer
    status, problem, _ = await node.call(
        "POST", f"/prefixes/{second}/suspend", node.reviewer, {"reason": "because"}
    )
    assert status == 200, problem
    status, problem = await send(node, key, put(f"{prefix}/y"), put(f"{second}/y"))
    assert (status, problem["field"]) == (409, "operations[1]"), problem
    status, answer = await send(
        node, key, put(f"{prefix}/y"), put(f"{second}/y"), query="?atomic=false"
    )
    assert [each["result"] for each in answer["results"]] == ["created", "refused"]


async def test_ndjson_is_an_operation_a_line(node: Node, works: Works) -> None:
    key, prefix = works
    body = b"\n".join(
        [msgspec.json.encode(put(f"{prefix}/{n}")) for n in range(3)] + [b"", b"not json", b""]
    )
    status, problem, _ = await node.call(
        "POST", PATH, key, body, Content_Type="application/x-ndjson"
    )
    assert (status, problem["field"]) == (400, "operations[3]"), problem
    status, answer, _ = await node.call(
        "POST", f"{PATH}?atomic=false", key, body, Content_Type="application/x-ndjson"
    )
    assert (status, answer["created"], answer["failed"]) == (200, 3, 1), answer


async def test_limits_and_media_types(node: Node, works: Works) -> None:
    key, prefix = works
    status, problem = await send(node, key)
    assert (status, problem["field"]) == (422, "operations")
    one = msgspec.json.encode(delete(f"{prefix}/x"))
    many = b'{"operations":[' + b",".join([one] * 10_001) + b"]}"
    status, problem, _ = await node.call("POST", PATH, key, many)
    assert (status, problem["field"]) == (422, "operations"), problem
    large = b" " * (MAX_BODY_BYTES + 1)
    assert (await node.call("POST", PATH, key, large))[0] == 413

    async def streamed() -> Any:
        for _ in range(9):
            yield b" " * (1024 * 1024)

    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    async with node.client.post(node.url(PATH), data=streamed(), headers=headers) as response:
        assert response.status == 413, "a body without a length is bounded too"
    assert (await node.call("POST", PATH, key, b"x", Content_Type="text/csv"))[0] == 415
    assert (await node.call("POST", PATH, key, b"{"))[0] == 400
    assert (await node.call("POST", f"{PATH}?atomic=perhaps", key, b"{}"))[0] == 422
    assert (await node.call("POST", PATH, None, b"{}"))[0] == 401
    templates = [put(f"{prefix}/{n}", template=f"t{n}") for n in range(101)]
    status, problem = await send(node, key, *templates)
    assert (status, problem["field"]) == (422, "operations"), problem
    prefixes = [put(f"88.118.{n + 1000}/x") for n in range(101)]
    status, problem = await send(node, key, *prefixes, query="?atomic=false")
    assert (status, problem["field"]) == (422, "operations"), problem


async def test_who_writes_nowhere_is_refused_before_anything_is_read(
    node: Node, works: Works
) -> None:
    status, problem, _ = await node.call("POST", PATH, node.reviewer, b"not even JSON")
    assert status == 403, problem


async def test_ten_thousand_at_once(node: Node, works: Works) -> None:
    key, prefix = works
    status, answer = await send(node, key, *(put(f"{prefix}/{n:05}") for n in range(10_000)))
    assert (status, answer["created"]) == (200, 10_000)
    status, answer = await send(node, key, *(delete(f"{prefix}/{n:05}") for n in range(10_000)))
    assert (status, answer["deleted"]) == (200, 10_000)
    assert [line.detail["deleted"] for line in await lines(node)] == [0, 10_000]


async def test_a_batch_sent_again_with_its_key_has_one_effect(node: Node, works: Works) -> None:
    key, prefix = works
    operations = [put(f"{prefix}/x"), put(f"{prefix}/y")]
    status, first = await send(node, key, *operations, Idempotency_Key="k1")
    status, again = await send(node, key, *operations, Idempotency_Key="k1")
    assert (status, again) == (200, first)
    assert len(await lines(node)) == 1
    status, problem = await send(
        node, key, *operations, query="?atomic=false", Idempotency_Key="k1"
    )
    assert (status, problem["field"]) == (422, "Idempotency-Key"), "the query belongs to it"


async def test_batches_side_by_side_over_the_same_identifiers_all_come_through(
    node: Node, works: Works
) -> None:
    """Each is one of the orders in which they could have come one after another."""
    key, prefix = works
    names = [f"{prefix}/{n}" for n in range(40)]

    async def one(writer: int) -> tuple[int, Any]:
        order = names if writer % 2 else names[::-1]
        return await send(node, key, *(put(name, f"by {writer}") for name in order))

    for _ in range(3):
        answers = await asyncio.gather(*(one(writer) for writer in range(6)))
        assert {status for status, _ in answers} == {200}, answers
        assert len({await said(node, key, name) for name in names}) == 1, "one of them was last"


@pytest.mark.parametrize("only_new", [True, False])
async def test_of_batches_that_register_the_same_one_creates(
    node: Node, works: Works, only_new: bool
) -> None:
    key, prefix = works
    more = {"if_none_match": "*"} if only_new else {}
    answers = await asyncio.gather(
        *(send(node, key, *(put(f"{prefix}/{n}", **more) for n in range(20))) for _ in range(4))
    )
    created = [answer["created"] for status, answer in answers if status == 200]
    assert sorted(created) == ([20] if only_new else [0, 0, 0, 20]), answers
    assert {status for status, _ in answers} <= {200, 412}
