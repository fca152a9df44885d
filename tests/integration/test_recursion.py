"""Recursion with real nodes on real sockets: over HTTP and Handle, for who may ask for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

from protocol.errors import ResponseCode
from protocol.handle.header import DEFAULT_FLAGS, OpFlag
from protocol.handle.requests import ResolutionRequest
from protocol.handle.responses import ReferralResponse, ResolutionResponse
from protocol.typed import site_from_json, site_to_json
from protocol.values import HandleValue
from registry.database import Database
from resolver.recursion.service import MAX_COUNT
from tests.integration.recursion_support import Front, Tower, recursive, tower
from tests.recursion_world import URL

LONG = tuple(HandleValue(index, "DESC", b"x" * 800) for index in range(1, 20))
SAID = {"88.120.7/SN-1": (URL,), "88.120.7/EMPTY": (), "88.120.7/LONG": LONG}


@pytest.fixture
async def nodes() -> AsyncIterator[Tower]:
    async with tower(dict(SAID)) as nodes:
        yield nodes


@pytest.fixture
async def front(database: Database, nodes: Tower) -> AsyncIterator[Front]:
    async with recursive(database, nodes.root) as front:
        yield front


async def test_a_foreign_identifier_is_resolved_over_http_and_handle(
    front: Front, nodes: Tower
) -> None:
    status, body, _ = await front.get("/api/handles/88.120.7/sn-1")
    assert (status, body["responseCode"], body["handle"]) == (200, 1, "88.120.7/sn-1")
    assert body["values"][0]["data"]["value"] == URL.data.decode()
    assert nodes.datagrams == [1, 1, 1, 1], "one question to each, from the root down"
    for transport in ("udp", "tcp"):
        answer = await front.ask("88.120.7/SN-1", transport)
        assert isinstance(answer.body, ResolutionResponse), answer
        assert answer.body.values[0].data == URL.data
    status, _, headers = await front.get("/resolve/88.120.7/SN-1", Accept="text/html")
    assert (status, headers["Location"]) == (302, URL.data.decode())
    assert nodes.datagrams == [1, 1, 1, 1], "what is known is not asked again"
    assert front.counted("idnode_recursion_queries", "asked") == 1
    assert front.counted("idnode_recursion_queries", "cached") == 3
    assert front.counted("idnode_recursion_sent", "udp") == 4


async def test_from_a_warm_prefix_cache_it_takes_one_datagram(front: Front, nodes: Tower) -> None:
    await front.get("/api/handles/88.120.7/SN-1")
    before = nodes.datagrams
    status, body, _ = await front.get("/api/handles/88.120.7/EMPTY")
    assert (status, body["responseCode"]) == (200, ResponseCode.VALUES_NOT_FOUND)
    after = nodes.datagrams
    assert [b - a for a, b in zip(before, after, strict=True)] == [0, 0, 0, 1]


async def test_an_answer_that_is_long_comes_whole(front: Front) -> None:
    status, body, _ = await front.get("/api/handles/88.120.7/LONG")
    assert (status, len(body["values"])) == (200, len(LONG))


async def test_what_is_not_there_is_not_found(front: Front) -> None:
    for path in ("/api/handles/88.120.7/NONE", "/api/handles/0.NA/88.125", "/resolve/88.120.7/N"):
        status, body, _ = await front.get(path)
        assert (status, body["responseCode"]) == (404, 100), path
    answer = await front.ask("88.120.7/NONE")
    assert answer.header.response_code == ResponseCode.HANDLE_NOT_FOUND


@pytest.mark.parametrize("clients", ["192.0.2.0/24", ""])
async def test_nobody_else_has_the_node_ask(database: Database, nodes: Tower, clients: str) -> None:
    async with recursive(database, nodes.root, clients=clients) as front:
        status, body, _ = await front.get("/api/handles/88.120.7/SN-1")
        assert (status, body["responseCode"]) == (400, 301)
        answer = await front.ask("88.120.7/SN-1")
        assert answer.header.response_code == ResponseCode.SERVER_NOT_RESPONSIBLE
    assert nodes.datagrams == [0, 0, 0, 0], "open recursion is off"


async def test_who_does_not_ask_for_recursion_gets_none(front: Front, nodes: Tower) -> None:
    for flags in (
        DEFAULT_FLAGS & ~OpFlag.RECURSIVE,
        DEFAULT_FLAGS | OpFlag.DO_NOT_REFER,
    ):
        answer = await front.ask("88.120.7/SN-1", flags=flags)
        assert answer.header.response_code == ResponseCode.SERVER_NOT_RESPONSIBLE
    for query in ("recursive=false", "doNotRefer"):
        status, _, _ = await front.get(f"/api/handles/88.120.7/SN-1?{query}")
        assert status == 400, query
    assert nodes.datagrams == [0, 0, 0, 0]


async def test_a_question_that_was_passed_on_too_often_is_refused(
    front: Front, nodes: Tower
) -> None:
    answer = await front.ask("88.120.7/SN-1", recursion_count=MAX_COUNT)
    assert answer.header.response_code == ResponseCode.RECURSION_LIMIT
    assert nodes.datagrams == [0, 0, 0, 0]
    answer = await front.ask("88.120.7/SN-1", recursion_count=MAX_COUNT - 1)
    assert answer.header.response_code == ResponseCode.SUCCESS
    (request,) = nodes.enterprise.server.asked
    assert request.header.recursion_count == MAX_COUNT


async def test_a_prefix_that_is_delegated_here_is_followed(
    database: Database, front: Front, nodes: Tower
) -> None:
    nodes.enterprise.server.says["88.118.36/SN-1"] = (URL,)
    await _delegate(database, nodes.enterprise.site.data)
    status, body, _ = await front.get("/api/handles/88.118.36/SN-1")
    assert (status, body["values"][0]["data"]["value"]) == (200, URL.data.decode())
    answer = await front.ask("88.118.36/SN-1")
    assert answer.header.response_code == ResponseCode.SUCCESS
    assert nodes.datagrams == [0, 0, 0, 1], "its place is known here"
    plain = await front.ask("88.118.36/SN-1", flags=DEFAULT_FLAGS & ~OpFlag.RECURSIVE)
    assert isinstance(plain.body, ReferralResponse), "to who does not ask for more"
    status, body, _ = await front.get("/api/handles/88.118.36/SN-1?recursive=false")
    assert (status, body["responseCode"]) == (300, 302)
    status, body, _ = await front.get("/api/handles/0.NA/88.118.36")
    assert (status, body["values"][0]["type"]) == (200, "HS_SITE"), "what is known here"


async def test_a_prefix_is_followed_to_a_service_that_is_registered_here(
    database: Database, front: Front, nodes: Tower
) -> None:
    nodes.enterprise.server.says["88.118.36/SN-1"] = (URL,)
    await _delegate(database, nodes.enterprise.site.data, service="88.118.35/NODE")
    for name in ("88.118.36/SN-1", "88.118.36.5/SN-1"):
        nodes.enterprise.server.says[name] = (URL,)
        status, body, _ = await front.get(f"/api/handles/{name}")
        assert (status, body["values"][0]["data"]["value"]) == (200, URL.data.decode()), body
    assert nodes.datagrams == [0, 0, 0, 2], "what is known here is not asked elsewhere"


async def _delegate(database: Database, record: bytes, service: str | None = None) -> None:
    """Register 88.118.36 as served at a site, or at one that a service of 88.118.35 has."""
    site = site_to_json(record)
    assert site_from_json(site) == record
    connection = await asyncpg.connect(database.url)
    try:
        await connection.execute(
            """WITH e AS (
                   INSERT INTO enterprises (name, credit_code, industry, contact)
                   VALUES ('Pump Works', '91350211M000100Y46', 'C3441', '{}') RETURNING id)
               INSERT INTO prefixes (prefix, enterprise_id, hosting, status, site, service)
                   SELECT '88.118.36', id, 'delegated', 'active', $1::jsonb, $2 FROM e
                   UNION ALL SELECT '88.118.35', id, 'hosted', 'active', NULL, NULL FROM e""",
            None if service else json.dumps(site),
            service,
        )
        values = [{"index": 1, "type": "HS_SITE", "data": {"format": "site", "value": site}}]
        await connection.execute(
            """INSERT INTO identifiers (prefix, suffix, suffix_key, "values", updated_at)
               VALUES ('88.118.35', 'NODE', 'NODE', $1, now())""",
            json.dumps(values),
        )
    finally:
        await connection.close()


async def test_own_identifiers_are_answered_as_ever(front: Front, nodes: Tower) -> None:
    status, body, _ = await front.get("/api/handles/88.118.35/SN-1")
    assert (status, body["responseCode"]) == (404, 100)
    assert nodes.datagrams == [0, 0, 0, 0]


async def test_values_are_chosen_by_type_and_index(front: Front, nodes: Tower) -> None:
    nodes.enterprise.server.says["88.120.7/TWO"] = (URL, HandleValue(2, "EMAIL", b"a@b.example"))
    _, body, _ = await front.get("/api/handles/88.120.7/TWO?type=email")
    assert [value["index"] for value in body["values"]] == [2]
    (asked,) = nodes.enterprise.server.asked
    assert isinstance(asked.body, ResolutionRequest)
    assert asked.body.types == (), "the whole is asked for, and serves all"


async def test_no_answer_from_elsewhere_is_told_in_a_sentence(
    database: Database, nodes: Tower
) -> None:
    nodes.node.server.says["0.NA/88.120.7"] = ()
    async with recursive(database, nodes.root) as front:
        status, body, _ = await front.get("/api/handles/88.120.7/SN-1")
        assert (status, body["responseCode"]) == (404, 100), "no place: no such prefix"
    async with recursive(database, nodes.root, private=()) as front:
        status, body, _ = await front.get("/api/handles/88.120.7/SN-1")
        assert (status, body["responseCode"]) == (504, 2)
        assert "must not ask" in body["message"]
        answer = await front.ask("88.120.7/SN-1")
        assert answer.header.response_code == ResponseCode.ERROR
        assert front.counted("idnode_recursion_dropped", "referral") > 0
