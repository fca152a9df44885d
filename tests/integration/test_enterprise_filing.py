"""Enterprises file themselves: what is taken, what is refused, and how much of it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from registry.accounts import throttle
from registry.database import Database
from registry.enterprises import filing as service
from tests.integration.enterprise_support import approved, file, filing, sign_in, step
from tests.integration.registry_client import CONTACT, Node, credit_code, running

NEW = {name: value for name, value in filing(1).items() if name != "administrator"}


async def test_who_files_signs_in_at_once_and_reads_what_became_of_it(node: Node) -> None:
    enterprise, session = await file(node, 1)
    status, me, _ = await node.call("GET", "/me", session)
    assert (status, me["role"], me["enterprise_id"]) == (200, "administrator", enterprise)
    assert set(me["scopes"]) == {"identifiers:read", "enterprise:read", "statistics"}
    status, own, _ = await node.call("GET", f"/enterprises/{enterprise}", session)
    assert (status, own["status"], own["region"]) == (200, "filed", "350211")
    status, steps, _ = await node.call("GET", f"/enterprises/{enterprise}/steps", session)
    assert [(one["step"], one["after"], one["actor"]) for one in steps["items"]] == [
        ("file", "filed", "account:admin.1")
    ]
    status, accounts, _ = await node.call("GET", "/accounts", session)
    assert [one["name"] for one in accounts["items"]] == ["admin.1"]


@pytest.mark.parametrize("state", ["filed", "under_review", "rejected", "suspended"])
async def test_everything_else_is_refused_until_it_is_approved(node: Node, state: str) -> None:
    enterprise, session = await file(node, 1)
    for name in {
        "filed": (),
        "under_review": ("review",),
        "rejected": ("review", "reject"),
        "suspended": ("review", "approve", "suspend"),
    }[state]:
        await step(node, enterprise, name, "because")
    before = await node.counts()
    writes: tuple[tuple[str, str, Any], ...] = (
        ("POST", f"/enterprises/{enterprise}/keys", None),
        ("POST", f"/enterprises/{enterprise}/snms-users", {"name": "m", "password": "x" * 20}),
        ("POST", "/prefixes", {"enterprise_id": enterprise, "hosting": "hosted"}),
        (
            "POST",
            "/accounts",
            {"name": "second", "role": "administrator", "enterprise_id": enterprise},
        ),
        ("PUT", "/groups/friends", {"members": ["300:88.709.911/x"]}),
    )
    for method, path, body in writes:
        status, answer, _ = await node.call(method, path, session, body)
        assert status == 403, (path, answer)
        assert "while the enterprise is not approved" in answer["detail"], answer
    status, chinese, _ = await node.call(
        "POST", f"/enterprises/{enterprise}/keys", session, None, Accept_Language="zh"
    )
    assert chinese["detail"].startswith("企业未获批准期间")
    assert await node.counts() == before


async def test_it_corrects_what_it_filed_until_somebody_reviews_it(node: Node) -> None:
    enterprise, session = await file(node, 1)
    path = f"/enterprises/{enterprise}"
    status, after, _ = await node.call("PUT", path, session, NEW | {"name": "集美水泵厂"})
    assert (status, after["name"], after["status"]) == (200, "集美水泵厂", "filed")
    await step(node, enterprise, "review")
    status, refused, _ = await node.call("PUT", path, session, NEW)
    assert status == 409
    assert "under_review" in refused["detail"]
    await step(node, enterprise, "reject", "the licence cannot be read")
    assert (await node.call("PUT", path, session, NEW))[0] == 200
    status, again, _ = await node.call("POST", f"{path}/refile", session)
    assert (status, again["status"]) == (200, "filed")
    await step(node, enterprise, "review")
    await step(node, enterprise, "approve")
    status, steps, _ = await node.call("GET", f"{path}/steps?limit=4", session)
    told = [(one["step"], one["after"], one["actor"], one["reason"]) for one in steps["items"]]
    assert told == [
        ("file", "filed", "account:admin.1", None),
        ("review", "under_review", "account:desk", None),
        ("reject", "rejected", "account:desk", "the licence cannot be read"),
        ("refile", "filed", "account:admin.1", None),
    ]
    status, rest, _ = await node.call("GET", f"{path}/steps?cursor={steps['next']}", session)
    assert [one["step"] for one in rest["items"]] == ["review", "approve"]


async def test_an_approved_enterprise_changes_its_contact_alone(node: Node) -> None:
    enterprise, session = await approved(node, 1)
    path = f"/enterprises/{enterprise}"
    other = CONTACT | {"phone": "+86 592 5550199"}
    status, after, _ = await node.call("PUT", path, session, NEW | {"contact": other})
    assert (status, after["contact"]) == (200, other)
    status, refused, _ = await node.call("PUT", path, session, NEW | {"name": "Other"})
    assert (status, refused["field"]) == (409, "name")
    key = (await node.call("POST", f"{path}/keys", session))[1]["key"]
    assert (await node.call("PUT", path, key, NEW))[0] == 403, "people file, programs do not"
    status, after, _ = await node.call("PUT", path, node.operator, NEW | {"name": "Other"})
    assert (status, after["name"]) == (200, "Other")


@pytest.mark.parametrize(
    ("other", "status", "field"),
    [
        ({"credit_code": "91350211M000100Y45"}, 422, "credit_code"),
        ({"industry": "C3449"}, 422, "industry"),
        ({"industry": "pumps"}, 422, "industry"),
        ({"region": "350299"}, 422, "region"),
        ({"region": None}, 422, "region"),
        ({"name": "Pump\u202eWorks"}, 422, "name"),
        ({"name": " "}, 422, "name"),
        ({"name": "水" * 201}, 422, "name"),
        ({"name": "a\u0000b"}, 422, "name"),
        ({"contact": CONTACT | {"phone": "none"}}, 422, "contact.phone"),
        ({"contact": CONTACT | {"email": "a b@c.example"}}, 422, "contact.email"),
        ({"administrator": {"name": "system", "password": "x" * 20}}, 422, "administrator.name"),
        ({"administrator": {"name": "li na", "password": "x" * 20}}, 422, "administrator.name"),
        ({"administrator": {"name": "li", "password": "short"}}, 422, "administrator.password"),
        (
            {"administrator": {"name": "li", "password": "password1234"}},
            422,
            "administrator.password",
        ),
        ({"administrator": {"name": "root", "password": "quiet heron 47 !"}}, 409, None),
        ({"status": "approved"}, 422, "status"),
        ({"id": "00000000-0000-4000-8000-000000000000"}, 422, "id"),
        (
            {"administrator": {"name": "li", "password": "quiet heron 47 !", "role": "operator"}},
            422,
            "administrator.role",
        ),
    ],
)
async def test_a_filing_that_breaks_a_rule_is_refused_and_nothing_is_written(
    node: Node, other: dict[str, Any], status: int, field: str | None
) -> None:
    before = await node.counts()
    got, answer, _ = await node.call("POST", "/filings", None, filing(1, **other))
    assert got == status, answer
    assert answer.get("field") == (field or "administrator.name")
    after = await node.counts()
    assert {name for name in after if after[name] != before[name]} <= {"sign_in_attempts"}


async def test_a_credit_code_is_filed_once_until_its_enterprise_is_closed(node: Node) -> None:
    enterprise, _ = await file(node, 1)
    again = filing(1, administrator={"name": "second", "password": "quiet heron 47 !"})
    status, refused, _ = await node.call("POST", "/filings", None, again)
    assert (status, refused["field"]) == (409, "credit_code")
    await step(node, enterprise, "close", "filed by somebody else")
    status, made, _ = await node.call("POST", "/filings", None, again)
    assert status == 201, made
    assert made["id"] != enterprise


async def test_to_correct_a_credit_code_takes_nobody_elses(node: Node) -> None:
    await file(node, 1)
    enterprise, session = await file(node, 2)
    status, refused, _ = await node.call("PUT", f"/enterprises/{enterprise}", session, NEW)
    assert (status, refused["field"]) == (409, "credit_code")


async def test_a_source_files_a_few_enterprises_and_then_waits(node: Node) -> None:
    for number in range(throttle.FILINGS_OF_SOURCE):
        assert (await node.call("POST", "/filings", None, filing(number)))[0] == 201
    status, refused, response = await node.call("POST", "/filings", None, filing(50))
    assert status == 429, refused
    assert 1 <= int(response.headers["Retry-After"]) <= throttle.WINDOW.total_seconds()


async def test_all_sources_together_file_a_bounded_number(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "FILINGS", 2)
    async with node.database.begin() as connection:
        for source in ("192.0.2.1", "192.0.2.2"):
            now = await connection.scalar(sa.select(sa.func.now()))
            await throttle.claim_filing(connection, source, now)
    assert (await node.call("POST", "/filings", None, filing(1)))[0] == 429


async def test_a_bounded_number_of_filings_waits_for_a_decision(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_OPEN", 1)
    enterprise, _ = await file(node, 1)
    assert (await node.call("POST", "/filings", None, filing(2)))[0] == 429
    await step(node, enterprise, "review")
    await step(node, enterprise, "reject", "no")
    await file(node, 2)


async def test_a_node_may_take_no_filings_by_itself(database: Database) -> None:
    async with running(database, self_filing=False) as node:
        status, refused, _ = await node.call("POST", "/filings", None, filing(1))
        assert status == 403
        assert "turn to its operator" in refused["detail"]
        await node.enterprise(1)


async def test_an_operator_registers_an_approved_enterprise(node: Node) -> None:
    body = {name: value for name, value in NEW.items() if name != "region"}
    status, made, _ = await node.call(
        "POST", "/enterprises", node.operator, body | {"industry": "3441"}
    )
    assert (status, made["status"], made["industry"]) == (201, "approved", "C3441")
    path = f"/enterprises/{made['id']}/steps"
    steps = (await node.call("GET", path, node.operator))[1]["items"]
    assert [(one["step"], one["after"], one["actor"]) for one in steps] == [
        ("file", "approved", "account:root")
    ]
    assert (await node.call("PUT", f"/enterprises/{made['id']}", node.reviewer, body))[0] == 403


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=filed", {"北京纺织研究院", "厦门重型水泵厂"}),
        ("status=approved", {"福州Ocean食品公司"}),
        ("status=filed&industry=C", {"厦门重型水泵厂"}),
        ("industry=C34", {"厦门重型水泵厂"}),
        ("industry=3441", {"厦门重型水泵厂"}),
        ("region=350000", {"厦门重型水泵厂", "福州Ocean食品公司"}),
        ("region=350200", {"厦门重型水泵厂"}),
        ("region=350211", {"厦门重型水泵厂"}),
        ("q=%E6%B0%B4%E6%B3%B5", {"厦门重型水泵厂"}),
        ("q=oCEAN", {"福州Ocean食品公司"}),
        ("q=91350211m00000002", {"福州Ocean食品公司"}),
        ("q=%E6%B3%B5%E6%B0%B4", set()),
        ("q=%25%25", set()),
        ("status=closed", set()),
    ],
)
async def test_lists_are_filtered(node: Node, query: str, expected: set[str]) -> None:
    await file(node, 1, name="厦门重型水泵厂", region="350211", industry="C3441")
    second, _ = await file(node, 2, name="福州Ocean食品公司", region="350102", industry="C1362")
    await file(node, 3, name="北京纺织研究院", region="110108", industry="M7320")
    await step(node, second, "review")
    await step(node, second, "approve")
    status, listed, _ = await node.call("GET", f"/enterprises?{query}", node.operator)
    assert status == 200, listed
    assert {one["name"] for one in listed["items"]} == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=active", "status"),
        ("q=x", "q"),
        ("q=" + "x" * 101, "q"),
        ("q=a%00b", "q"),
        ("industry=C9", "industry"),
        ("region=35", "region"),
    ],
)
async def test_filters_that_nothing_can_match_are_refused(
    node: Node, query: str, field: str
) -> None:
    status, refused, _ = await node.call("GET", f"/enterprises?{query}", node.operator)
    assert status in (400, 422)
    assert refused["field"] == field


async def test_an_enterprise_that_lists_finds_itself_alone(node: Node) -> None:
    await file(node, 1)
    _, session = await file(node, 2)
    _, listed, _ = await node.call("GET", "/enterprises?region=350211", session)
    assert [one["credit_code"] for one in listed["items"]] == [credit_code(2)]


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("name_pairs(name) @> name_pairs('水泵')", "enterprises_name_pairs"),
        ("status = 'filed' ORDER BY id LIMIT 100", "enterprises_status"),
        ("industry LIKE 'C34%'", "enterprises_industry"),
        ("region LIKE '3502%'", "enterprises_region"),
    ],
)
async def test_each_filter_has_an_index(node: Node, condition: str, index: str) -> None:
    async with node.database.begin() as connection:
        await connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        lines = await connection.scalars(
            sa.text(f"EXPLAIN SELECT * FROM enterprises WHERE {condition}")
        )
        assert index in "\n".join(lines)


async def test_codes_are_listed_a_level_at_a_time(node: Node) -> None:
    status, top, response = await node.call("GET", "/industries")
    assert (status, len(top["items"])) == (200, 20)
    assert "max-age" in response.headers["Cache-Control"]
    assert top["items"][2] == {"code": "C", "name": "制造业", "name_en": "Manufacturing"}
    status, groups, _ = await node.call("GET", "/industries?parent=C34")
    assert {"code": "C344", "name": "泵、阀门、压缩机及类似机械制造", "name_en": None} in groups[
        "items"
    ]
    status, districts, _ = await node.call("GET", "/regions?parent=350200")
    assert {one["name"] for one in districts["items"]} >= {"集美区", "思明区"}
    assert (await node.call("GET", "/regions?parent=35"))[0] == 404


async def test_who_signs_in_again_after_approval_may_do_everything(node: Node) -> None:
    enterprise, session = await approved(node, 1)
    for token in (session, await sign_in(node, "admin.1")):
        status, made, _ = await node.call("POST", f"/enterprises/{enterprise}/keys", token)
        assert status == 201, made
