"""The console lets staff in, by name and password or by token, and nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa
from aiohttp.test_utils import TestClient, TestServer

from admin.console import visitors
from admin.console.front import COOKIE, MAX_FORM_BYTES
from admin.console.visitors import Visitors
from admin.control import make_control_app
from admin.settings import Settings
from admin.status import Status
from registry import metrics
from registry.database import Database
from registry.services import Registry
from tests.integration import tenants
from tests.integration.registry_client import Node, running
from tests.integration.test_accounts import PASSWORD, account

CHROMIUM = Path("/usr/bin/chromium")


@dataclass
class Console:
    """A console beside a registry, on one database."""

    client: TestClient[Any, Any]
    node: Node
    visitors: Visitors
    now: list[float]

    async def sign_in(self, **form: str) -> aiohttp.ClientResponse:
        return await self.client.post("/sign-in", data=form, allow_redirects=False)

    async def shows_the_node(self) -> bool:
        reply = await self.client.get("/")
        assert reply.status == 200
        text = await reply.text()
        assert ("/sign-out" in text) != ("/sign-in" in text)
        return "/sign-out" in text


@pytest.fixture
async def console(database: Database, tmp_path: Path) -> AsyncIterator[Console]:
    file = tmp_path / "metrics"
    metrics.create(file, 2)
    status = Status(Settings(workers=1), metrics.open_rows(file))
    now = [0.0]
    own = Database(database.url, pool_size=2)
    registry = Registry(own, "88.118", lambda *_: None, metrics.private_row())
    status.visitors = Visitors(registry, lambda: now[0])
    async with (
        running(database) as node,
        TestClient(TestServer(make_control_app(status))) as client,
    ):
        yield Console(client, node, status.visitors, now)
    await status.visitors.close()


async def test_staff_sign_in_by_password_or_token_and_sign_out(console: Console) -> None:
    await account(console.node, "wang", "auditor")
    assert not await console.shows_the_node()
    for form in ({"name": "wang", "password": PASSWORD}, {"token": console.node.operator}):
        reply = await console.sign_in(**form)
        assert (reply.status, reply.headers["Location"]) == (303, "/")
        cookie = reply.cookies[COOKIE]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert PASSWORD not in cookie.value
        assert (await console.node.call("GET", "/me", cookie.value))[0] == 401, (
            "the cookie opens the console alone"
        )
        assert await console.shows_the_node()
        left = await console.client.post("/sign-out", allow_redirects=False)
        assert left.status == 303
        assert not await console.shows_the_node()
    async with console.node.database.begin() as connection:
        assert await connection.scalar(_SESSIONS) == 0, "the session behind the visit has ended"
    assert (await console.node.call("GET", "/me", console.node.operator))[0] == 200


_SESSIONS = sa.text("SELECT count(*) FROM sessions")


async def test_others_are_told_why_they_are_not_let_in(console: Console) -> None:
    tenant = await tenants.make(console.node, 1)
    name = f"admin.{tenant.mark}"
    for form, status, word in (
        ({"name": "nobody", "password": PASSWORD}, 401, "the name or the password is wrong"),
        ({"name": name, "password": tenants.PASSWORD}, 403, "only for operator"),
        ({"token": tenant.key}, 403, "only for operator"),
        ({"token": "x" * 40}, 401, "unknown, expired or revoked"),
        ({"token": "<script>"}, 401, "unknown, expired or revoked"),
        ({}, 401, "the name or the password is wrong"),
        ({"name": "a\0b", "password": "x"}, 400, "form of text"),
    ):
        reply = await console.sign_in(**form)
        text = await reply.text()
        assert (reply.status, word in text) == (status, True), (form, text)
        assert COOKIE not in reply.cookies
        assert "<script>" not in text
    chinese = await console.client.post("/sign-in?lang=zh", data={"name": "a", "password": "b"})
    assert "账户名或密码错误" in await chinese.text()
    large = await console.sign_in(name="x" * MAX_FORM_BYTES)
    assert large.status == 413
    assert not await console.shows_the_node()


async def test_guessing_is_held_back_here_too(console: Console) -> None:
    replies = [await console.sign_in(name="wang", password="a guess") for _ in range(6)]
    assert [reply.status for reply in replies] == [401] * 5 + [429]
    assert int(replies[-1].headers["Retry-After"]) > 0


async def test_the_page_of_another_site_can_not_send_the_form(console: Console) -> None:
    form = {"token": console.node.operator}
    for origin, status in (("https://evil.example", 403), ("null", 403)):
        reply = await console.client.post("/sign-in", data=form, headers={"Origin": origin})
        assert reply.status == status
    host = f"{console.client.host}:{console.client.port}"
    reply = await console.client.post(
        "/sign-in", data=form, headers={"Origin": f"http://{host}"}, allow_redirects=False
    )
    assert reply.status == 303


async def test_who_is_disabled_is_out_and_a_database_that_is_away_puts_nobody_out(
    console: Console,
) -> None:
    made = await account(console.node, "wang", "auditor")
    await console.sign_in(name="wang", password=PASSWORD)
    await console.visitors._registry.database.close()  # it opens new connections when asked again
    url, console.visitors._registry.database.url = (
        console.visitors._registry.database.url,
        "postgresql://nobody@127.0.0.1:1/nothing",
    )
    console.now[0] += visitors.CHECKED_EVERY_SECONDS
    assert await console.shows_the_node()
    await _checked(console)
    assert await console.shows_the_node(), "the database is away"
    await _checked(console)
    console.visitors._registry.database.url = url
    path = f"/accounts/{made['id']}"
    await console.node.call("PATCH", path, console.node.operator, {"status": "disabled"})
    assert await console.shows_the_node(), "it answers at once, from memory"
    await _checked(console)
    assert not await console.shows_the_node()


async def _checked(console: Console) -> None:
    async with asyncio.timeout(20):
        while console.visitors._checks:
            await asyncio.sleep(0.01)


async def test_a_visit_ends_after_its_longest_life(console: Console) -> None:
    await console.sign_in(token=console.node.operator)
    console.now[0] += visitors.LIFE_SECONDS - 1
    assert await console.shows_the_node()
    console.now[0] += 1
    assert not await console.shows_the_node()


@pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium here")
async def test_a_person_signs_in_with_a_browser(console: Console) -> None:
    await account(console.node, "wang", "auditor")
    async with browser() as page:
        await page.open(f"http://127.0.0.1:{console.client.port}/?lang=zh")
        await page.until("document.querySelector('form[action^=\"/sign-in\"]') !== null")
        await page.run("document.querySelector('input[name=name]').value = 'wang'")
        secret = json.dumps(PASSWORD)
        await page.run(f"document.querySelector('input[name=password]').value = {secret}")
        await page.run("document.querySelector('main form button').click()")
        await page.until("document.querySelector('form[action^=\"/sign-out\"]') !== null")
        assert "标识解析二级节点" in await page.run("document.body.innerText")
        assert await page.run("getComputedStyle(document.querySelector('main')).display") == "grid"
        assert await page.run("document.cookie") == "", "scripts do not see the cookie"
        await page.run("document.querySelector('header form button').click()")
        await page.until("document.querySelector('form[action^=\"/sign-in\"]') !== null")


@dataclass
class Page:
    """One page of a browser, over the Chrome DevTools Protocol."""

    socket: aiohttp.ClientWebSocketResponse
    number: int = 0

    async def ask(self, method: str, **parameters: Any) -> Any:
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        await self.socket.send_json(message)
        while True:
            answer = await self.socket.receive_json(timeout=20)
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    async def open(self, url: str) -> None:
        await self.ask("Page.navigate", url=url)

    async def run(self, expression: str) -> Any:
        answer = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, expression: str) -> None:
        deadline = time.monotonic() + 20
        while not await self.run(expression):
            assert time.monotonic() < deadline, f"{expression} did not become true"
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Page]:
    """Run a browser of its own for the length of the block."""
    # Helpers of the browser may still write to the profile for a moment after it has ended.
    with tempfile.TemporaryDirectory(
        prefix="idnode-chromium-", ignore_cleanup_errors=True
    ) as profile:
        process = await asyncio.create_subprocess_exec(
            CHROMIUM,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--remote-debugging-port=0",
            f"--user-data-dir={profile}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            port = await _port(Path(profile) / "DevToolsActivePort", process)
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json") as reply:
                    targets = await reply.json()
                (url,) = (
                    each["webSocketDebuggerUrl"] for each in targets if each["type"] == "page"
                )
                async with session.ws_connect(url) as socket:
                    page = Page(socket)
                    yield page
                    await page.ask("Browser.close")
                    await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()


async def _port(file: Path, process: asyncio.subprocess.Process) -> str:
    deadline = time.monotonic() + 30
    while not (written := _written(file)):
        assert process.returncode is None, "the browser ended"
        assert time.monotonic() < deadline, "the browser does not start"
        await asyncio.sleep(0.05)
    return written[0]


def _written(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []
