"""The Handle JSON API on prefixes that another node serves."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration import rest_support
from tests.integration.registry_client import SITE
from tests.integration.rest_support import OTHER, PREFIX, Answer, Front, basic, value

ELSEWHERE = f"/api/handles/{OTHER}/Pump-1"


@pytest.fixture
async def front(database_url: str, tmp_path: Path) -> AsyncIterator[Front]:
    async with rest_support.running(database_url, tmp_path) as front:
        await front.sql.execute(
            "UPDATE prefixes SET hosting = 'delegated', site = $2 WHERE prefix = $1",
            OTHER,
            json.dumps(SITE),
        )
        yield front


async def test_a_question_is_referred_unless_that_is_not_wanted(front: Front) -> None:
    referred = await front.ask("GET", ELSEWHERE)
    assert (referred.status, referred.code) == (300, 302)
    assert [one["type"] for one in referred.json["values"]] == ["HS_SITE"]
    for parameter in ("doNotRefer", "doNotRefer=true"):
        for _ in range(2):
            answer = await front.ask("GET", f"{ELSEWHERE}?{parameter}")
            assert (answer.status, answer.code) == (404, 100), answer.body
    assert (await front.ask("GET", f"{ELSEWHERE}?doNotRefer=false")).code == 302
    posted = await front.ask("POST", ELSEWHERE, {"doNotRefer": True})
    assert (posted.status, posted.code) == (404, 100)
    here = await front.ask("GET", f"/api/handles/0.NA/{PREFIX}?doNotRefer")
    assert (here.status, here.code) == (200, 1), "what is here needs no referral"


@pytest.mark.parametrize("suspended", [False, True])
async def test_who_writes_hears_that_the_prefix_is_not_served_here(
    front: Front, suspended: bool
) -> None:
    """As over the Handle protocol, whoever it is: nobody is asked to prove anything."""
    if suspended:
        await front.sql.execute(
            "UPDATE prefixes SET hosting = 'hosted', site = NULL, status = 'suspended'"
            " WHERE prefix = $1",
            OTHER,
        )
    body = {"values": [value(1, "https://a.example")]}

    def not_here(answer: Answer) -> None:
        assert (answer.status, answer.code) == (400, 301), answer.body
        assert f"prefix {OTHER} is not served here" in answer.json["message"]

    for auth in (None, basic()):
        not_here(await front.ask("PUT", ELSEWHERE, body, auth))
        not_here(await front.ask("PUT", f"{ELSEWHERE}?index=1", body, auth))
        not_here(await front.ask("DELETE", ELSEWHERE, auth=auth))
        not_here(await front.ask("GET", f"/api/handles?prefix={OTHER}", auth=auth))
    held = await front.sql.fetchval("SELECT count(*) FROM identifiers WHERE prefix = $1", OTHER)
    assert held == 0
