"""Prefixes of the node and verifications, as the reference server has them in its JSON API."""

from __future__ import annotations

import base64
import hmac
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from protocol.errors import ResponseCode
from resolver.handle.guesses import SOURCE_LIMIT
from tests.integration import rest_support
from tests.integration.rest_support import (
    ADMIN_ID,
    KEY_ID,
    OTHER,
    PREFIX,
    SECRET,
    SECRET_ID,
    Answer,
    Front,
    basic,
    let_administrator_in,
)

OURS = ["0.NA/88.118", f"0.NA/{PREFIX}", f"0.NA/{OTHER}"]
ADMIN = basic(ADMIN_ID)
NONCE, CNONCE = b"nonce of a server", b"nonce of a client"


@pytest.fixture
async def front(database_url: str, tmp_path: Path) -> AsyncIterator[Front]:
    async with rest_support.running(database_url, tmp_path) as front:
        await let_administrator_in(front)
        yield front


async def state(front: Front, prefix: str = PREFIX) -> str:
    status: str = await front.sql.fetchval("SELECT status FROM prefixes WHERE prefix = $1", prefix)
    return status


async def test_the_prefixes_that_are_served_are_listed_page_by_page(front: Front) -> None:
    listed = await front.ask("GET", "/api/prefixes", auth=ADMIN)
    assert (listed.status, listed.code) == (200, 1)
    assert (listed.json["totalCount"], listed.json["prefixes"]) == ("3", OURS)
    for number, expected in enumerate((OURS[:2], OURS[2:], [])):
        page = await front.ask("GET", f"/api/prefixes?page={number}&pageSize=2", auth=ADMIN)
        assert page.json == {
            "responseCode": 1,
            "totalCount": "3",
            "page": number,
            "pageSize": 2,
            "prefixes": expected,
        }


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"/api/prefixes/0.NA/{PREFIX}", None),
        (f"/api/prefixes/{PREFIX}", None),
        (f"/api/prefixes?prefix=0.NA/{PREFIX}", None),
        ("/api/prefixes", {"prefix": f"0.NA/{PREFIX}"}),
    ],
)
async def test_a_prefix_is_unhomed_and_homed(front: Front, path: str, body: Any) -> None:
    for method, expected in (("DELETE", "suspended"), ("POST", "active")):
        for _ in range(2):  # what is as wished stays
            done = await front.ask(method, path, body, ADMIN)
            assert (done.status, done.code) == (200, 1)
            assert await state(front) == expected
    lines = await front.sql.fetch("SELECT actor, action FROM audit_log ORDER BY seq")
    assert [line["action"] for line in lines] == ["prefix.suspend", "prefix.resume"]
    assert {line["actor"] for line in lines} == {f"handle:{ADMIN_ID}"}


async def test_only_who_runs_the_node_homes(front: Front) -> None:
    path = f"/api/prefixes/0.NA/{PREFIX}"
    for method, where in (("GET", "/api/prefixes"), ("POST", path), ("DELETE", path)):
        refused = await front.ask(method, where, auth=basic())
        assert (refused.status, refused.code) == (403, ResponseCode.INVALID_ADMIN)
        assert (await front.ask(method, where)).status == 401
        assert (await front.ask(method, where, auth=ADMIN, base=front.http)).status == 403
    assert await state(front) == "active"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/prefixes", 400, ResponseCode.PROTOCOL_ERROR),
        (f"/api/prefixes/{PREFIX}/x", 400, ResponseCode.INVALID_HANDLE),
        ("/api/prefixes/0.NA/88.118.99", 501, ResponseCode.OPERATION_DENIED),
    ],
)
async def test_what_cannot_be_homed(front: Front, path: str, status: int, code: int) -> None:
    refused = await front.ask("POST", path, auth=ADMIN)
    assert (refused.status, refused.code) == (status, code)


def b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


async def verify(front: Front, identity: str = SECRET_ID, **change: str | None) -> Answer:
    """Ask whether a signature by SECRET is one of `identity`."""
    asked: dict[str, str | None] = {
        "nonce": b64(NONCE),
        "cnonce": b64(CNONCE),
        "alg": "HMAC-SHA256",
        "signature": b64(hmac.digest(SECRET.encode(), NONCE + CNONCE, "sha256")),
    }
    asked |= change
    query = urlencode({name: text for name, text in asked.items() if text is not None})
    return await front.ask("GET", f"/api/verifications/{quote(identity)}?{query}")


async def test_another_server_learns_whether_a_secret_was_shown_to_it(front: Front) -> None:
    right = await verify(front)
    assert (right.status, right.json) == (200, {"responseCode": 1, "isValid": True})
    for identity, change in (
        (SECRET_ID, {"nonce": b64(b"another nonce")}),
        (SECRET_ID, {"signature": b64(b"guess")}),
        (SECRET_ID, {"alg": "HMAC-SHA1"}),
        (KEY_ID, {}),
        (f"302:0.NA/{PREFIX}", {}),
    ):
        wrong = await verify(front, identity, **change)
        assert (wrong.status, wrong.json) == (200, {"responseCode": 1, "isValid": False})


async def test_verifications_that_make_no_sense(front: Front) -> None:
    for name in ("nonce", "cnonce", "alg", "signature"):
        refused = await verify(front, **{name: None})
        assert (refused.status, refused.code) == (400, ResponseCode.PROTOCOL_ERROR)
    refused = await verify(front, nonce="!")
    assert (refused.status, refused.code) == (400, ResponseCode.PROTOCOL_ERROR)
    refused = await verify(front, "301:0.NA/10.1000")
    assert (refused.status, refused.code) == (400, ResponseCode.SERVER_NOT_RESPONSIBLE)


async def test_verifications_are_no_way_to_guess(front: Front) -> None:
    for number in range(SOURCE_LIMIT):
        assert not (await verify(front, signature=b64(b"%d" % number))).json["isValid"]
    held_back = await verify(front)
    assert held_back.status == 429
    assert int(held_back.headers["Retry-After"]) > 0
