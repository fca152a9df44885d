"""Labels over HTTP: a camera is led to the page of the identifier; who may make them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
import uuid
import zipfile
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pypdfium2
import pytest
import zxingcpp
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer, unused_port
from PIL import Image

from registry.api import labels
from registry.api.app import make_app
from registry.database import Database
from registry.metrics import private_row
from registry.services import Registry
from resolver.lookup import Resolver
from resolver.transports.http import add_routes
from tests.integration.registry_client import Node, running, staff_key

SUFFIXES = ("SN-0001", "号/a b", "100%", "a/../b", "a/./b", "q?x#y", "dot.")


@pytest.fixture
async def node(database: Database) -> AsyncIterator[Node]:
    """A front with registry and resolution on one port, that knows its own address."""
    async with database.begin() as connection:
        operator = await staff_key(connection, "root", "operator")
        reviewer = await staff_key(connection, "desk", "reviewer")
    row, port = private_row(), unused_port()
    resolver = Resolver(database, row=row, cache_bytes=1 << 20, node_prefix="88.118")
    registry = Registry(
        database, "88.118", resolver.forget, row, public_url=f"http://127.0.0.1:{port}"
    )
    app = make_app(registry)
    add_routes(app, resolver)
    await resolver.start()
    client: TestClient[Any, Any] = TestClient(TestServer(app, port=port))
    await client.start_server()
    try:
        yield Node(client, database, row, operator, reviewer)
    finally:
        await client.close()
        await resolver.close()


@pytest.fixture
async def owner(node: Node) -> tuple[str, str]:
    """An active hosted prefix with a few identifiers, and the key of its enterprise."""
    enterprise, key = await node.enterprise(1)
    prefix = await node.prefix(enterprise, key)
    for suffix in SUFFIXES:
        body = {"values": [{"index": 1, "type": "DESC", "data": f"about {suffix}"}]}
        path = f"/identifiers/{prefix}/{quote(suffix, safe='')}"
        assert (await node.call("PUT", path, key, body))[0] == 201
    return prefix, key


async def fetch(
    node: Node, method: str, path: str, token: str | None, body: Any = None
) -> tuple[int, bytes, str]:
    """Return status, body and media type."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    response = await node.client.request(method, node.url(path), json=body, headers=headers)
    return response.status, await response.read(), response.content_type


def texts(picture: Image.Image) -> list[str]:
    return [found.text for found in zxingcpp.read_barcodes(picture.convert("L"))]


async def resolved(url: str) -> tuple[int, dict[str, Any], str]:
    """Ask for what a camera read, as a program and as a browser."""
    async with ClientSession() as session:
        answer = await session.get(url, headers={"Accept": "application/json"})
        page = await session.get(url, headers={"Accept": "text/html"})
        return answer.status, await answer.json(content_type=None), await page.text()


@pytest.mark.parametrize("symbol", ["qr", "datamatrix"])
async def test_a_label_leads_to_the_page_of_its_identifier(
    node: Node, owner: tuple[str, str], symbol: str
) -> None:
    prefix, key = owner
    for suffix in SUFFIXES:
        path = f"/identifiers/{prefix}/{quote(suffix, safe='')}/label?format=png&symbol={symbol}"
        status, png, media = await fetch(node, "GET", path, key)
        assert (status, media) == (200, "image/png"), png
        (url,) = texts(Image.open(io.BytesIO(png)))
        status, answer, page = await resolved(url)
        assert (status, answer["handle"]) == (200, f"{prefix}/{suffix}"), url
        assert f"about {suffix}" in page


async def test_a_browser_follows_a_label_of_dots(node: Node, owner: tuple[str, str]) -> None:
    prefix, key = owner
    _, png, _ = await fetch(node, "GET", f"/identifiers/{prefix}/a%2F..%2Fb/label?format=png", key)
    (url,) = texts(Image.open(io.BytesIO(png)))
    chromium = await asyncio.create_subprocess_exec(
        "/usr/bin/chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    shown, _ = await asyncio.wait_for(chromium.communicate(), 60)
    assert "about a/../b" in shown.decode()


async def test_svg_is_what_one_gets_unless_told_otherwise(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    status, svg, media = await fetch(node, "GET", f"/identifiers/{prefix}/sn-0001/label", key)
    assert (status, media) == (200, "image/svg+xml")
    assert f"<title>{prefix}/SN-0001</title>" in svg.decode()


async def test_a_list_on_sheets(node: Node, owner: tuple[str, str]) -> None:
    prefix, key = owner
    wanted = [f"{prefix}/{suffix}" for suffix in SUFFIXES]
    body = {"identifiers": wanted, "sheet": {"columns": 2, "rows": 3}, "level": "q"}
    status, pdf, media = await fetch(node, "POST", "/labels", key, body)
    assert (status, media) == (200, "application/pdf")
    document = pypdfium2.PdfDocument(pdf)
    assert len(document) == 2
    read = [url for page in document for url in texts(page.render(scale=300 / 72).to_pil())]
    handles = {(await resolved(url))[1]["handle"] for url in read}
    assert handles == set(wanted)


@pytest.mark.parametrize("format_", ["png", "svg"])
async def test_a_range_as_an_archive(node: Node, owner: tuple[str, str], format_: str) -> None:
    prefix, key = owner
    for number in range(8, 13):
        path = f"/identifiers/{prefix}/B-{number:03d}"
        assert (await node.call("PUT", path, key, {"values": []}))[0] == 201
    body = {
        "range": {"prefix": prefix, "first": "b-008", "last": "b-012"},
        "format": format_,
        "symbol": "datamatrix",
    }
    status, archive, media = await fetch(node, "POST", "/labels", key, body)
    assert (status, media) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        names = files.namelist()
        assert names[0] == f"0001-{prefix}_B-008.{format_}"
        assert len(names) == 5
        if format_ == "png":
            read = [texts(Image.open(io.BytesIO(files.read(name)))) for name in names]
            assert [url[0].rpartition("/")[2] for url in read] == [
                f"B-{number:03d}" for number in range(8, 13)
            ]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "identifiers"),
        ({"identifiers": []}, 422, "identifiers"),
        ({"identifiers": ["88.118.1/SN-0001"], "range": {}}, 422, "range.prefix"),
        (
            {
                "identifiers": ["88.118.1/SN-0001"],
                "range": {"prefix": "88.118.1", "first": "A1", "last": "A2"},
            },
            422,
            "range",
        ),
        ({"identifiers": ["88.118.1/\u202e"]}, 400, "identifiers[0].suffix"),
        ({"identifiers": ["88.118.1/none"]}, 404, "identifiers[0]"),
        ({"identifiers": ["88.118.1/SN-0001", "88.118.9/SN-0001"]}, 400, "identifiers[1]"),
        ({"identifiers": ["88.118.1/SN-0001"], "sheet": {"columns": 20}}, 422, "sheet.columns"),
        ({"identifiers": ["88.118.1/SN-0001"], "sheet": {"columns": 0}}, 422, "sheet.columns"),
        ({"identifiers": ["88.118.1/SN-0001"], "sheet": {"start": 25}}, 422, "sheet.start"),
        ({"identifiers": ["88.118.1/SN-0001"], "quiet_zone": 3}, 422, "quiet_zone"),
        ({"identifiers": ["88.118.1/SN-0001"], "quiet_zone": 21}, 422, "quiet_zone"),
        ({"identifiers": ["88.118.1/SN-0001"], "module_mm": 1.0}, 422, "module_mm"),
        ({"identifiers": ["88.118.1/SN-0001"], "dpi": 300}, 422, "dpi"),
        ({"identifiers": ["88.118.1/SN-0001"], "format": "svg", "sheet": {}}, 422, "sheet"),
        ({"identifiers": ["88.118.1/SN-0001"], "format": "gif"}, 422, "format"),
        ({"identifiers": ["88.118.1/SN-0001"], "colour": "red"}, 422, "colour"),
        (
            {"identifiers": ["88.118.1/SN-0001"], "symbol": "datamatrix", "level": "h"},
            422,
            "level",
        ),
        (
            {"range": {"prefix": "88.118.1", "first": "SN-0001", "last": "SN-9999"}},
            422,
            "range",
        ),
        (
            {"range": {"prefix": "88.118.1", "first": "SN-0001", "last": "SN-0002"}},
            404,
            "range",
        ),
    ],
)
async def test_what_is_refused_names_the_field(
    node: Node, owner: tuple[str, str], body: dict[str, Any], status: int, field: str | None
) -> None:
    _, key = owner
    got, problem, _ = await node.call("POST", "/labels", key, body)
    assert (got, problem.get("field")) == (status, field), problem


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("module_mm=0.1", "module_mm"),
        ("module_mm=nan", "module_mm"),
        ("dpi=99999999999999999999", "dpi"),
        ("dpi=72&module_mm=0.25&format=png", "dpi"),
        ("format=pdf", "format"),
        ("symbol=aztec", "symbol"),
        ("colour=red", "colour"),
        ("quiet_zone=1", "quiet_zone"),
    ],
)
async def test_a_bad_parameter_is_named(
    node: Node, owner: tuple[str, str], query: str, field: str
) -> None:
    prefix, key = owner
    path = f"/identifiers/{prefix}/SN-0001/label?{query}"
    status, problem, _ = await node.call("GET", path, key)
    assert (status, problem["field"]) == (422, field), problem


async def test_labels_are_for_who_may_read_the_identifier(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    _, other = await node.enterprise(2)
    path, body = f"/identifiers/{prefix}/SN-0001/label", {"identifiers": [f"{prefix}/SN-0001"]}
    for token, status in (
        (key, 200), (node.operator, 200), (node.reviewer, 200), (other, 403), (None, 401)
    ):  # fmt: skip
        assert (await fetch(node, "GET", path, token))[0] == status
        assert (await fetch(node, "POST", "/labels", token, body))[0] == status
    enterprise = (await node.call("GET", f"/prefixes/{prefix}", key))[1]["enterprise_id"]
    for scope, status in (("labels", 200), ("identifiers:read", 403)):
        made = await node.call(
            "POST", f"/enterprises/{enterprise}/keys", node.operator, {"scopes": [scope]}
        )
        assert (await fetch(node, "GET", path, made[1]["key"]))[0] == status


async def test_a_node_that_does_not_know_its_address_makes_no_labels(database: Database) -> None:
    async with running(database) as node:
        enterprise, key = await node.enterprise(1)
        prefix = await node.prefix(enterprise, key)
        await node.call("PUT", f"/identifiers/{prefix}/a", key, {"values": []})
        status, problem, _ = await node.call("GET", f"/identifiers/{prefix}/a/label", key)
        assert (status, "IDNODE_PUBLIC_URL" in problem["detail"]) == (409, True)


async def test_more_at_once_than_there_are_places_is_told_to_come_again(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    app = node.client.app
    assert isinstance(app, web.Application)
    body = {"identifiers": [f"{prefix}/SN-0001"]}
    places = app[labels.PLACES]
    async with contextlib.AsyncExitStack() as held:
        for number in range(labels.MAX_AT_ONCE):
            await held.enter_async_context(places.hold(uuid.UUID(int=number)))
        status, problem, response = await node.call("POST", "/labels", key, body)
        assert (status, problem["type"]) == (503, "urn:idnode:problem:busy")
        assert int(response.headers["Retry-After"]) > 0
    assert (await fetch(node, "POST", "/labels", key, body))[0] == 200


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"format": "png", "module_mm": 1.0, "dpi": 1200}, "module_mm"),
        ({"format": "svg", "level": "h"}, "range"),
        ({"level": "h"}, "range"),
    ],
)
async def test_an_order_that_would_keep_the_node_busy_for_long_is_refused(
    node: Node, owner: tuple[str, str], more: dict[str, Any], field: str
) -> None:
    prefix, key = owner
    long = "号" * 60
    made = {"prefix": prefix, "first": f"{long}0001", "last": f"{long}5000", "values": []}
    assert (await node.call("POST", "/ranges", key, made))[0] == 201
    wanted = {"prefix": prefix, "first": f"{long}0001", "last": f"{long}5000"}
    if field == "module_mm":
        wanted["last"] = f"{long}0300"
    status, problem, _ = await node.call(
        "POST", "/labels", key, {"range": wanted, **more}, Accept_Language="zh"
    )
    assert (status, problem["field"]) == (422, field), problem
    assert "合计" in problem["detail"]


async def test_labels_that_lead_to_loopback_say_so(node: Node, owner: tuple[str, str]) -> None:
    prefix, key = owner
    body = {"identifiers": [f"{prefix}/SN-0001"]}
    asked = [
        ("GET", f"/identifiers/{prefix}/SN-0001/label", None),
        ("POST", "/labels", body),
        ("POST", "/labels", body | {"format": "svg"}),
    ]
    headers = {"Authorization": f"Bearer {key}", "Accept-Language": "en"}
    for method, path, sent in asked:
        response = await node.client.request(method, node.url(path), json=sent, headers=headers)
        assert response.status == 200
        assert response.headers["Idnode-Notice"] == "labels-lead-to-loopback"
        if response.content_type == "application/pdf":
            (page,) = pypdfium2.PdfDocument(await response.read())
            assert "set IDNODE_PUBLIC_URL" in page.get_textpage().get_text_range()


async def test_labels_of_an_address_that_others_reach_have_no_notice(database: Database) -> None:
    async with running(database, public_url="https://id.example.org") as node:
        enterprise, key = await node.enterprise(1)
        prefix = await node.prefix(enterprise, key)
        await node.call("PUT", f"/identifiers/{prefix}/a", key, {"values": []})
        headers = {"Authorization": f"Bearer {key}"}
        path, body = node.url("/labels"), {"identifiers": [f"{prefix}/a"]}
        async with node.client.post(path, json=body, headers=headers) as response:
            assert (response.status, "Idnode-Notice" in response.headers) == (200, False)
            (page,) = pypdfium2.PdfDocument(await response.read())
            assert page.get_textpage().get_text_range().split() == [f"{prefix}/a"]


@pytest.mark.parametrize("many", [True, False])
async def test_while_labels_are_drawn_others_are_answered(
    node: Node, owner: tuple[str, str], monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    prefix, key = owner
    drawing, answered = threading.Event(), threading.Event()
    draw = labels._picture

    def waiting(*what: Any) -> bytes:
        drawing.set()
        assert answered.wait(20), "nobody was answered while a label was drawn"
        return draw(*what)

    monkeypatch.setattr(labels, "_picture", waiting)
    if many:
        body = {"identifiers": [f"{prefix}/SN-0001"], "format": "png"}
        asked = asyncio.create_task(fetch(node, "POST", "/labels", key, body))
    else:
        path = f"/identifiers/{prefix}/SN-0001/label?format=png"
        asked = asyncio.create_task(fetch(node, "GET", path, key))
    async with asyncio.timeout(20):
        while not drawing.is_set():
            await asyncio.sleep(0.01)
        assert (await node.call("GET", "/me", key))[0] == 200
        answered.set()
        assert (await asked)[0] == 200


async def test_a_suffix_that_ends_in_label_is_written_with_an_escape(
    node: Node, owner: tuple[str, str]
) -> None:
    prefix, key = owner
    assert (await node.call("PUT", f"/identifiers/{prefix}/x/label", key, {"values": []}))[0] == 400
    path = f"/identifiers/{prefix}/x%2Flabel"
    assert (await node.call("PUT", path, key, {"values": []}))[0] == 201
    assert (await fetch(node, "GET", f"{path}/label", key))[0] == 200
