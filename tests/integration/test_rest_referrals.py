"""The Handle JSON API on prefixes that another node serves."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration import rest_support
from tests.integration.registry_client import SITE
from tests.integration.rest_support import (
    ADMIN_ID,
    OTHER,
    PREFIX,
    Answer,
    Front,
    basic,
    let_administrator_in,
    value,
)

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


async def test_derived_prefixes_are_referred_whoever_asks(front: Front) -> None:
    place = {"index": 7, "type": "HS_SITE.PREFIX", "data": {"format": "site", "value": SITE}}
    own = f"/api/handles/0.NA/{PREFIX}?index=7"
    assert (await front.ask("PUT", own, [place], basic())).status == 201
    below = {f"{PREFIX}.5/X": 303, f"0.NA/{PREFIX}.5": 303, f"{OTHER}.5/X": 302}
    for auth in (None, basic()):
        for name, code in below.items():
            answer = await front.ask("GET", f"/api/handles/{name}", auth=auth)
            assert (answer.status, answer.code, answer.json["handle"]) == (300, code, name)
            (shown,) = answer.json["values"]
            assert shown["type"] == {302: "HS_SITE", 303: "HS_SITE.PREFIX"}[code]
            assert shown["data"]["value"]["servers"][0]["address"] == "192.0.2.7"
            stay = await front.ask("GET", f"/api/handles/{name}?doNotRefer", auth=auth)
            assert (stay.status, stay.code) == (404, 100), name
    resolved = await front.ask("GET", f"/resolve/{PREFIX}.5/X", Accept="application/json")
    assert (resolved.status, resolved.code) == (300, 303)
    page = await front.ask("GET", f"/resolve/{PREFIX}.5/X", Accept="text/html")
    assert b"HS_SITE.PREFIX" in page.body
    gone = await front.ask("DELETE", own, auth=basic())
    assert gone.status == 200, gone.body
    assert (await front.ask("GET", f"/api/handles/{PREFIX}.5/X")).status == 404
    body = {"values": [value(1, "https://a.example")]}
    refused = await front.ask("PUT", f"/api/handles/{PREFIX}.5/X", body, basic())
    assert (refused.status, refused.code) == (400, 301), "it is written where it is served"


async def test_a_prefix_handle_is_not_deleted_by_its_owner(front: Front) -> None:
    """DELETE_DERIVED_PREFIX is for the prefix above to give: here it gives it to nobody."""
    own = f"/api/handles/0.NA/{PREFIX}"
    refused = await front.ask("DELETE", own, auth=basic())
    assert (refused.status, refused.code) == (403, 400), refused.body
    assert (await front.ask("GET", own)).code == 1
    await let_administrator_in(front)
    deleted = await front.ask("DELETE", own, auth=basic(ADMIN_ID))
    assert (deleted.status, deleted.code) == (200, 1), deleted.body


async def test_the_index_of_the_site_is_not_written(front: Front) -> None:
    own = f"/api/handles/0.NA/{PREFIX}?index=1"
    refused = await front.ask("PUT", own, [value(1, "https://a.example")], basic())
    assert (refused.status, refused.code) == (400, 202), refused.body
    assert "index 1 of a prefix handle is the node's" in refused.json["message"]
