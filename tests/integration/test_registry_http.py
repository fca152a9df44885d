"""What every answer of the API has: problems, request ids, limits, metrics, and 503 in need."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from typing import Any

import asyncpg
import pytest

from registry import metrics
from registry.api import snms
from registry.api.app import make_app
from registry.api.operations import OPERATIONS
from registry.database import Database
from registry.services import Registry
from tests.integration.registry_client import URL_VALUE, Node


async def test_errors_are_problems_in_the_language_that_is_preferred(node: Node) -> None:
    path = "/prefixes/88.118.1"
    english, chinese = ("Not found", "no prefix 88.118.1"), ("资源不存在", "前缀 88.118.1 不存在")
    for language, said in (
        ("en", english),
        ("zh-CN,en;q=0.5", chinese),
        ("en;q=0.3, zh-Hans;q=0.8", chinese),
        ("zh;q=0.3, en", english),
        ("zh;q=0", english),
        ("fr", english),
    ):
        status, problem, response = await node.call(
            "GET", path, node.operator, Accept_Language=language
        )
        assert status == 404
        assert response.content_type == "application/problem+json"
        assert (problem["title"], problem["detail"], problem["status"]) == (*said, 404)
        assert response.headers["Content-Language"] == ("zh-CN" if said is chinese else "en")
        assert response.headers["Vary"] == "Accept-Language"
        assert problem["type"] == "urn:idnode:problem:not-found"
        assert problem["requestId"] == response.headers["X-Request-Id"]


async def test_what_the_http_server_refuses_is_a_problem_too(node: Node) -> None:
    status, problem, response = await node.call("GET", "/nothing", Accept_Language="zh")
    assert (status, problem["title"]) == (404, "资源不存在")
    assert response.content_type == "application/problem+json"
    status, problem, response = await node.call("PUT", "/prefixes", node.operator, {})
    assert (status, problem["status"]) == (405, 405)
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST"}


async def test_no_operation_takes_a_parameter_that_the_document_does_not_tell_of(
    node: Node,
) -> None:
    document = await (await node.client.get("/openapi.json")).json()
    passed, asked = [], 0
    for path, operations in document["paths"].items():
        if not path.startswith("/api/v1/"):
            continue
        for method, operation in operations.items():
            target = re.sub(r"\{\w+\}", str(uuid.UUID(int=7)), path).removeprefix("/api/v1")
            status, problem, _ = await node.call(method, f"{target}?zz=1", node.operator)
            refusal = problem and (problem.get("field"), problem.get("rule"))
            if refusal != ("zz", "unknown_field") or str(status) not in operation["responses"]:
                passed.append((method, path, status, problem))
            asked += 1
    assert asked > 90
    assert not passed, "taken, or refused with a status that is not in the document"


async def test_an_unknown_parameter_is_told_with_those_that_there_are(node: Node) -> None:
    for language, listed, none in (
        ("en", 'unknown parameter; there are "cursor", "limit"', "there are no parameters here"),
        ("zh", '未知参数,可用参数:"cursor", "limit"', "此处没有可用的参数"),
    ):
        for path, said in (("/reserved-numbers", listed), ("/me", none)):
            _, problem, _ = await node.call(
                "GET", f"{path}?status=x", node.operator, Accept_Language=language
            )
            assert (problem["detail"], problem["field"]) == (said, "status")


async def test_a_prefix_that_is_not_here_is_named_where_it_was_sent(node: Node) -> None:
    new = {"prefix": "88.118.9", "first": "A1", "last": "A2", "values": []}
    for method, path, body in (
        ("POST", "/ranges", new),
        ("GET", "/ranges?prefix=88.118.9", None),
        ("GET", "/identifiers?prefix=88.118.9", None),
        ("GET", "/exports/identifiers?prefix=88.118.9", None),
    ):
        status, problem, _ = await node.call(method, path, node.operator, body)
        told = (status, problem["rule"], problem["field"])
        assert told == (400, "not_responsible", "prefix"), path


async def test_words_that_have_to_be_sent_are_told_as_they_are(node: Node) -> None:
    for path, field, words in (
        ("/prefixes?hosting=x", "hosting", '"hosted", "delegated"'),
        ("/templates?state=x", "state", '"draft", "published", "withdrawn"'),
    ):
        for language, said in (("en", "must be one of "), ("zh", "应为以下之一:")):
            _, problem, _ = await node.call("GET", path, node.operator, Accept_Language=language)
            told = (problem["detail"], problem["field"], problem["rule"])
            assert told == (said + words, field, "enum")


@pytest.mark.parametrize(
    ("site", "field", "rule"),
    [
        ({}, "site.servers", "required"),
        ({"servers": []}, "site.servers", "min_length"),
        ({"servers": [{"address": "192.0.2.1", "interfaces": []}]}, "interfaces", "min_length"),
        (
            {"servers": [{"address": "192.0.2.1", "interfaces": [{"protocol": 1, "port": 1}]}]},
            "interfaces[0].protocol",
            "type",
        ),
        (
            {"servers": [{"address": "192.0.2.1", "interfaces": [{"protocol": "X", "port": 1}]}]},
            "interfaces[0].protocol",
            "enum",
        ),
        (
            {
                "servers": [
                    {
                        "address": "192.0.2.1",
                        "interfaces": [{"protocol": "TCP", "port": 1, "admin": True}],
                    }
                ]
            },
            "interfaces",
            "min_length",
        ),
    ],
)
async def test_a_site_that_nobody_could_ask_is_refused(
    node: Node, site: dict[str, Any], field: str, rule: str
) -> None:
    enterprise_id, key = await node.enterprise(1)
    body = {"enterprise_id": enterprise_id, "hosting": "delegated", "site": site}
    status, problem, _ = await node.call("POST", "/prefixes", key, body)
    assert (status, problem["rule"]) == (422, rule), problem
    assert problem["field"].endswith(field)
    assert problem["field"].startswith("site.servers")


async def test_answers_to_who_says_who_he_is_are_kept_by_nobody(node: Node) -> None:
    for path in ("/me", "/prefixes/88.118.1", "/nothing", "/reserved-numbers?limit=0"):
        _, _, response = await node.call("GET", path, node.operator)
        assert response.headers["Cache-Control"] == "no-store", path
    _, _, response = await node.call("GET", "/me")
    assert "Cache-Control" not in response.headers


async def test_every_problem_names_a_rule(node: Node) -> None:
    for method, path, body, status, rule in (
        ("GET", "/nothing", None, 404, "not_found"),
        ("GET", "/prefixes/88.118.1", None, 404, "not_found"),
        ("PUT", "/prefixes", {}, 405, "method_not_allowed"),
        ("POST", "/prefixes", {}, 422, "required"),
        ("POST", "/prefixes", {"enterprise_id": "x", "hosting": "hosted"}, 422, "format"),
        (
            "POST",
            "/prefixes",
            {"enterprise_id": str(uuid.UUID(int=7)), "hosting": "x"},
            422,
            "enum",
        ),
        ("POST", "/prefixes", b"{", 400, "json"),
        ("POST", "/prefixes", b"", 400, "malformed_request"),
        ("GET", "/prefixes?limit=0", None, 400, "malformed_request"),
    ):
        got, problem, _ = await node.call(method, path, node.operator, body)
        assert (got, problem["rule"]) == (status, rule), (path, problem)
    got, problem, _ = await node.call("GET", "/me")
    assert (got, problem["rule"]) == (401, "authentication_needed")


async def test_a_sane_request_id_comes_back_and_another_is_replaced(node: Node) -> None:
    _, _, response = await node.call("GET", "/prefixes", node.operator, X_Request_Id="abc-1.2:3")
    assert response.headers["X-Request-Id"] == "abc-1.2:3"
    for given in ("", "a b", "<script>", "x" * 129, "é"):
        _, _, response = await node.call("GET", "/prefixes", node.operator, X_Request_Id=given)
        assert response.headers["X-Request-Id"] not in ("", given)


async def test_bodies_are_json_of_at_most_a_mebibyte(node: Node) -> None:
    before = await node.counts()
    enterprises = "/enterprises"
    for body, content_type, expected in (
        (b"{}", "text/plain", 415),
        (b"{}", "application/json; charset=gbk", 415),
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"", "application/json", 400),
        (b'"' + b"x" * 1024 * 1024 + b'"', "application/json", 413),
    ):
        status, problem, _ = await node.call(
            "POST", enterprises, node.operator, body, Content_Type=content_type
        )
        assert (status, problem["responseCode"]) == (expected, 4), (body[:20], problem)
    assert await node.counts() == before


async def test_a_body_that_is_cut_off_leaves_nothing(node: Node) -> None:
    enterprise, key = await node.enterprise(1)
    prefix = await node.prefix(enterprise, key)
    before = await node.counts()
    body = b'{"values":[]}'
    reader, writer = await asyncio.open_connection("127.0.0.1", node.client.port)
    head = (
        f"PUT /api/v1/identifiers/{prefix}/CUT HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body) + 1}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    writer.write_eof()
    await reader.read()
    writer.close()
    assert await node.counts() == before


async def test_requests_of_the_api_are_counted_and_timed_and_no_others(node: Node) -> None:
    await node.call("GET", "/prefixes", node.operator)
    await node.call("GET", "/prefixes")
    await node.call("GET", "/nothing")
    for path in ("/openapi.json", "/docs", "/elsewhere"):
        await (await node.client.get(path)).read()
    slots = {kind: metrics.slot("idnode_api_requests", kind) for kind in ("2xx", "4xx", "5xx")}
    assert {kind: node.row.cells[slot] for kind, slot in slots.items()} == {
        "2xx": 1,
        "4xx": 2,
        "5xx": 0,
    }
    start = metrics.slot("idnode_api_duration_seconds", "4xx")
    buckets = len(metrics.LATENCY_BUCKETS) + 1
    assert sum(node.row.cells[start : start + buckets]) == 2


async def test_every_route_is_in_the_document_and_every_operation_has_a_route(
    node: Node,
) -> None:
    document = await (await node.client.get("/openapi.json")).json()
    described = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    served = {
        (route.method, route.resource.canonical)
        for route in node.client.app.router.routes()
        if route.resource is not None
        and route.method != "HEAD"
        and route.resource.canonical.startswith(("/api/v1/", *snms.PATHS))
    }
    assert described == served


async def test_the_page_of_the_document_names_every_operation_and_loads_nothing(
    node: Node,
) -> None:
    response = await node.client.get("/docs")
    page = await response.text()
    assert response.content_type == "text/html"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    for operation in OPERATIONS:
        assert operation.path in page
        assert operation.summary_zh in page
    assert "src=" not in page
    assert "://" not in page.replace("https://a.example", "")


async def test_without_a_database_the_answer_is_503_with_retry_after() -> None:
    from aiohttp.test_utils import TestClient, TestServer

    database = Database("postgresql://nobody@127.0.0.1:1/nothing")
    registry = Registry(database, "88.118", lambda *_: None, metrics.private_row())
    client = TestClient(TestServer(make_app(registry)))
    await client.start_server()
    try:
        headers = {"Authorization": f"Bearer {'x' * 20}"}
        for method, path, body in (
            ("GET", "/prefixes", None),
            ("PUT", "/identifiers/88.118.1/A", {"values": [URL_VALUE]}),
            ("POST", "/prefixes/88.118.1/approve", None),
        ):
            response = await client.request(method, f"/api/v1{path}", json=body, headers=headers)
            problem = await response.json(content_type=None)
            assert response.status == 503, problem
            assert int(response.headers["Retry-After"]) > 0
            assert problem["responseCode"] == 3
    finally:
        await client.close()
        await database.close()


async def test_after_its_connections_were_cut_the_registry_recovers(
    node: Node, postgres_url: str
) -> None:
    enterprise, key = await node.enterprise(1)
    path = f"/identifiers/{await node.prefix(enterprise, key)}/A"
    async with node.database.begin() as connection:
        name = (await connection.exec_driver_sql("SELECT current_database()")).scalar_one()
    admin = await asyncpg.connect(postgres_url)
    try:
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
        )
    finally:
        await admin.close()
    deadline = time.monotonic() + 30
    status = 0
    while status != 201 and time.monotonic() < deadline:
        status, problem, response = await node.call("PUT", path, key, {"values": []})
        assert status in (201, 503), problem
        if status == 503:
            assert int(response.headers["Retry-After"]) > 0
    assert status == 201


async def test_a_failure_of_our_own_is_told_without_its_inside(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr("registry.prefixes.page", fail)
    status, problem, response = await node.call("GET", "/prefixes", node.operator)
    assert (status, problem["status"]) == (500, 500)
    assert "secret" not in await response.text()
    assert problem["requestId"] == response.headers["X-Request-Id"]
