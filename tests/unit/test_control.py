"""The operator port tells how the node does, without asking anybody while somebody waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer

from admin.console.front import COOKIE
from admin.console.texts import CHINESE, ENGLISH
from admin.console.visitors import Visitors
from admin.control import make_control_app
from admin.settings import Settings
from admin.status import Status
from admin.watch import FRESH_SECONDS, Watch
from registry import metrics
from registry.database import Database
from registry.principals import SYSTEM
from registry.services import Registry

OVERVIEW: dict[str, Any] = {
    "server": "18.6",
    "enterprises": 3,
    "prefixes": {"active": 2, "pending": 1},
    "identifiers": 1234567,
    "outbox": 1,
    "outbox_error": "<script>alert(1)</script>",
    "waiting": [
        {
            "subject": "88.118.35",
            "kind": "prefix",
            "attempts": 3,
            "created_at": "2026-11-25T02:02:44.933711+00:00",
            "next_attempt_at": "2026-11-25T02:05:00.000000+00:00",
            "last_error": "<script>alert(2)</script>",
        }
    ],
    "imports": [
        {
            "id": "0c6c6e85-4ccd-450f-ae3b-9a317b26460e",
            "state": "done",
            "done": 99998,
            "failed": 2,
            "seconds": 2.0,
            "created_at": "2026-11-25T02:02:44.933711+00:00",
        }
    ],
}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def status(tmp_path: Path, clock: Clock) -> Status:
    file = tmp_path / "metrics"
    metrics.create(file, 2)
    return Status(Settings(workers=1), metrics.open_rows(file), watch=Watch(clock))


@pytest.fixture
async def client(status: Status) -> AsyncIterator[TestClient[Any, Any]]:
    """Ask as somebody who has signed in; tests/integration/test_console.py does it in earnest."""
    away = Database("postgresql://nobody@127.0.0.1:1/nothing")
    registry = Registry(away, "88.118", lambda *_: None, metrics.private_row())
    status.visitors = Visitors(registry, lambda: 0.0)
    cookie = status.visitors._begin(SYSTEM, "the token of nobody")
    async with TestClient(TestServer(make_control_app(status)), cookies={COOKIE: cookie}) as client:
        yield client
    await status.visitors.close()


def _all_well(status: Status) -> None:
    fleet: Any = SimpleNamespace(ready_workers=1, slots=[])
    status.fleet = fleet
    status.watch._seen(msgspec.json.encode(OVERVIEW))


async def test_node_that_starts_is_alive_and_not_ready(client: TestClient[Any, Any]) -> None:
    assert (await client.get("/healthz")).status == 200
    reply = await client.get("/readyz")
    assert reply.status == 503
    assert "the node is starting" in (await reply.json())["reasons"]
    assert (await client.get("/")).status == 200
    assert (await client.get("/metrics")).status == 200


async def test_node_is_ready_as_long_as_the_database_was_seen_a_moment_ago(
    client: TestClient[Any, Any], status: Status, clock: Clock
) -> None:
    _all_well(status)
    assert (await client.get("/readyz")).status == 200
    clock.now = FRESH_SECONDS + 0.1
    reply = await client.get("/readyz")
    assert (reply.status, (await reply.json())["reasons"]) == (503, ["database: does not answer"])
    status.watch._seen(msgspec.json.encode(OVERVIEW))
    assert (await client.get("/readyz")).status == 200


async def test_node_without_a_ready_worker_is_not_ready(
    client: TestClient[Any, Any], status: Status
) -> None:
    _all_well(status)
    status.fleet.ready_workers = 0  # type: ignore[union-attr, misc]
    assert (await (await client.get("/readyz")).json())["reasons"] == ["no worker is ready"]


async def test_console_speaks_both_languages_and_escapes_what_it_shows(
    client: TestClient[Any, Any], status: Status
) -> None:
    _all_well(status)
    english = await client.get("/", headers={"Accept-Language": "en, zh;q=0.5"})
    text = await english.text()
    assert english.headers["Content-Language"] == "en"
    assert "1,234,567" in text
    assert "99,998" in text
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    for chosen in ({"headers": {"Accept-Language": "zh-CN,en;q=0.8"}}, {"params": {"lang": "zh"}}):
        chinese = await client.get("/", **chosen)
        assert chinese.headers["Content-Language"] == "zh"
        text = await chinese.text()
        assert "标识解析二级节点" in text
        assert "已完成" in text


async def test_console_loads_nothing_and_renews_itself(
    client: TestClient[Any, Any], status: Status
) -> None:
    _all_well(status)
    reply = await client.get("/")
    text = await reply.text()
    assert 'http-equiv="refresh"' in text
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "http://" not in text
    assert "https://" not in text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_operator_port_changes_nothing(client: TestClient[Any, Any], method: str) -> None:
    assert (await client.request(method, "/")).status == 405


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (Settings(workers=1), "127.0.0.1:8000 (this machine alone: set IDNODE_PUBLIC_URL)"),
        (Settings(workers=1, bind="0.0.0.0"), "none are made until IDNODE_PUBLIC_URL is set"),
        (Settings(workers=1, public_url="https://id.example.org/n"), "id.example.org/n</span>"),
    ],
)
async def test_console_says_where_labels_lead(
    client: TestClient[Any, Any], status: Status, settings: Settings, told: str
) -> None:
    _all_well(status)
    status.settings = settings
    assert told in await (await client.get("/", headers={"Accept-Language": "en"})).text()


def test_console_has_each_word_in_both_languages() -> None:
    assert ENGLISH.keys() == CHINESE.keys()
