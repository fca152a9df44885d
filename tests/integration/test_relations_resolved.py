"""How relations show in resolution: in link sets, and on the page for people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from registry.api.app import make_app
from registry.database import Database
from registry.metrics import private_row
from registry.services import Registry
from resolver import links
from resolver.lookup import Resolver
from resolver.transports import page
from resolver.transports.http import add_routes
from tests.integration.registry_client import URL_VALUE, Node, staff_key
from tests.integration.relations_support import ELSEWHERE, Works

LINKSET = "application/linkset+json"


@pytest.fixture
async def resolver(database: Database) -> AsyncIterator[Resolver]:
    resolver = Resolver(database, row=private_row(), cache_bytes=1 << 20, node_prefix="88.118")
    await resolver.start()
    async with asyncio.timeout(20):
        while not resolver.ready:
            await asyncio.sleep(0.01)
    yield resolver
    await resolver.close()


@pytest.fixture
async def node(database: Database, resolver: Resolver) -> AsyncIterator[Node]:
    """A front with registry and resolution on one port."""
    async with database.begin() as connection:
        operator = await staff_key(connection, "root", "operator")
        reviewer = await staff_key(connection, "desk", "reviewer")
    app = make_app(Registry(database, "88.118", resolver.forget, resolver.row))
    add_routes(app, resolver)
    client: TestClient[Any, Any] = TestClient(TestServer(app))
    await client.start_server()
    try:
        yield Node(client, database, resolver.row, operator, reviewer)
    finally:
        await client.close()


@pytest.fixture
async def works(node: Node) -> Works:
    """An enterprise whose pump stands in relations of every kind and audience."""
    works = await Works.make(node, 1)
    await works.register("pump", "motor", "a<b", "plant", "pump-2", "secret")
    for subject, kind, target, audience in (
        ("plant", "contains", "pump", "public"),
        ("pump", "contains", "motor", "public"),
        ("a%3Cb", "part-of", "pump", "public"),
        ("pump", "contains", "secret", "private"),
        ("pump", "contains", "88.709.912/secret", "partners"),
        ("pump", "replaced-by", "pump-2", "public"),
        ("pump", "derived-from", ELSEWHERE, "public"),
    ):
        assert (await works.state(subject, kind, target, audience))[0] == 201
    return works


async def _resolve(
    node: Node, identifier: str, accept: str, language: str = "en"
) -> tuple[int, str]:
    response = await node.client.get(
        f"/resolve/{identifier}?noredirect",
        headers={"Accept": accept, "Accept-Language": language},
    )
    return response.status, await response.text()


async def test_a_link_set_has_what_the_owner_states_in_public(node: Node, works: Works) -> None:
    stranger = await Works.make(node, 2)
    await stranger.register("claim")
    assert (await stranger.state("claim", "part-of", works.name("pump")))[0] == 201
    response = await node.client.get(f"/resolve/{works.name('pump')}", headers={"Accept": LINKSET})
    assert (response.status, response.content_type) == (200, LINKSET)
    (context,) = (await response.json(content_type=None))["linkset"]
    here = f"http://127.0.0.1:{node.client.port}/resolve/"
    assert context == {
        "anchor": here + works.name("pump"),
        "item": [{"href": here + works.name("motor")}, {"href": f"{here}{works.prefix}/a%3Cb"}],
        "collection": [{"href": here + works.name("plant")}],
        "successor-version": [{"href": here + works.name("pump-2")}],
        "http://www.w3.org/ns/prov#wasDerivedFrom": [{"href": here + ELSEWHERE}],
    }
    _, text = await _resolve(node, works.name("motor"), LINKSET)
    assert '"collection":[{"href":"' + here + works.name("pump") + '"}]' in text


async def test_the_page_leads_to_related_identifiers(node: Node, works: Works) -> None:
    for language, words in (
        ("en", ("Contains", "Part of", "Replaced by", "Derived from")),
        ("zh", ("包含", "属于", "被替代为", "来源于")),
    ):
        status, text = await _resolve(node, works.name("pump"), "text/html", language)
        assert status == 200
        for word in words:
            assert f"<h2>{word}</h2>" in text
    assert f'<a href="/resolve/{works.prefix}/a%3Cb"><bdi>{works.prefix}/a&lt;b</bdi></a>' in text
    assert f'<a href="/resolve/{ELSEWHERE}"><bdi>{ELSEWHERE}</bdi></a>' in text
    assert "secret" not in text


async def test_relations_show_at_once_and_are_no_values(node: Node, works: Works) -> None:
    path = f"/identifiers/{works.name('pump')}"
    await node.call("PUT", path, works.key, {"values": [URL_VALUE]})
    name = works.name("pump")
    _, text = await _resolve(node, name, "application/json")
    assert "motor" not in text
    assert await works.take_back("pump", "contains", "motor")
    _, text = await _resolve(node, name, LINKSET)
    assert "motor" not in text
    assert "describedby" in text
    await works.state("pump", "contains", "motor")
    _, text = await _resolve(node, name, "text/html")
    assert "motor" in text


async def test_a_page_and_a_set_are_bounded(
    node: Node, works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "MAX_LINKS", 2)
    _, text = await _resolve(node, works.name("pump"), "text/html")
    assert (text.count("<li>"), "There are more." in text) == (2, True)
    monkeypatch.setattr("resolver.transports.http.MAX_LINKS", 3)
    _, text = await _resolve(node, works.name("pump"), LINKSET)
    assert text.count("href") == 3


async def test_where_relations_cannot_be_read_a_page_says_so_and_a_set_is_refused(
    node: Node, works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = works.name("pump")
    await _resolve(node, name, "application/json")  # the values are cached
    monkeypatch.setattr(links, "MAX_WAITING", 0)
    status, text = await _resolve(node, name, "text/html")
    assert (status, "Relations cannot be shown at this moment." in text) == (200, True)
    response = await node.client.get(f"/resolve/{name}", headers={"Accept": LINKSET})
    assert (response.status, (await response.json(content_type=None))["responseCode"]) == (503, 3)
    assert int(response.headers["Retry-After"]) > 0


async def test_a_link_set_needs_the_database_and_says_when_it_is_away(
    node: Node, works: Works, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = works.name("pump")
    await _resolve(node, name, "application/json")
    await resolver.feed.close()
    monkeypatch.setattr(type(resolver), "ready", property(lambda _: False))
    status, text = await _resolve(node, name, "text/html")
    assert (status, "Relations cannot be shown" in text) == (200, True)
    assert (await _resolve(node, name, LINKSET))[0] == 503
