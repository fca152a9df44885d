"""Idempotency-Key: one effect and one answer, however often and however close together."""

from __future__ import annotations

import asyncio
import datetime

import pytest
import sqlalchemy as sa

from registry.schema import idempotency_keys
from tests.integration.registry_client import CONTACT, Node, credit_code


def _body(number: int) -> dict[str, object]:
    return {
        "name": "Works",
        "credit_code": credit_code(number),
        "industry": "C3441",
        "contact": CONTACT,
    }


async def test_a_repeated_request_gets_the_first_answer_and_has_no_effect(node: Node) -> None:
    first = await node.call("POST", "/enterprises", node.operator, _body(1), Idempotency_Key="a")
    assert first[0] == 201
    assert "Idempotency-Replayed" not in first[2].headers
    before = await node.counts()
    second = await node.call("POST", "/enterprises", node.operator, _body(1), Idempotency_Key="a")
    assert second[:2] == first[:2]
    assert second[2].headers["Idempotency-Replayed"] == "true"
    assert second[2].headers["Location"] == first[2].headers["Location"]
    assert await node.counts() == before


async def test_another_request_with_the_same_key_is_refused(node: Node) -> None:
    await node.call("POST", "/enterprises", node.operator, _body(1), Idempotency_Key="a")
    before = await node.counts()
    for path, body in (("/enterprises", _body(2)), ("/prefixes/88.118.1/approve", {})):
        status, problem, _ = await node.call("POST", path, node.operator, body, Idempotency_Key="a")
        assert (status, problem["field"]) == (422, "Idempotency-Key")
    assert await node.counts() == before


async def test_requests_at_the_same_time_have_one_effect_and_one_answer(node: Node) -> None:
    enterprise, _ = await node.enterprise(1)
    body = {"enterprise_id": enterprise, "hosting": "hosted"}
    before = (await node.counts())["prefixes"]
    answers = await asyncio.gather(
        *(
            node.call("POST", "/prefixes", node.operator, body, Idempotency_Key="same")
            for _ in range(12)
        )
    )
    assert {status for status, _, _ in answers} == {201}
    assert len({answer["prefix"] for _, answer, _ in answers}) == 1
    replayed = [response.headers.get("Idempotency-Replayed") for _, _, response in answers]
    assert replayed.count(None) == 1
    assert (await node.counts())["prefixes"] == before + 1


async def test_a_refused_request_leaves_the_key_free(node: Node) -> None:
    wrong = {**_body(1), "credit_code": "91110000600037341X"}
    status, _, _ = await node.call(
        "POST", "/enterprises", node.operator, wrong, Idempotency_Key="a"
    )
    assert status == 422
    assert (await node.counts())["idempotency_keys"] == 0
    status, _, _ = await node.call(
        "POST", "/enterprises", node.operator, _body(1), Idempotency_Key="a"
    )
    assert status == 201


async def test_a_key_is_free_again_after_a_day(node: Node) -> None:
    await node.call("POST", "/enterprises", node.operator, _body(1), Idempotency_Key="a")
    for hours, expected in ((23, 422), (2, 201)):
        async with node.database.begin() as connection:
            await connection.execute(
                idempotency_keys.update().values(
                    created_at=idempotency_keys.c.created_at - datetime.timedelta(hours=hours)
                )
            )
        status, _, _ = await node.call(
            "POST", "/enterprises", node.operator, _body(2), Idempotency_Key="a"
        )
        assert status == expected


async def test_the_secret_of_a_key_is_neither_stored_nor_shown_again(node: Node) -> None:
    enterprise, _ = await node.enterprise(1)
    path = f"/enterprises/{enterprise}/keys"
    _, first, _ = await node.call("POST", path, node.operator, Idempotency_Key="a")
    assert first["key"].startswith("idn_")
    status, second, _ = await node.call("POST", path, node.operator, Idempotency_Key="a")
    assert (status, second) == (201, {**first, "key": None})
    async with node.database.begin() as connection:
        stored = await connection.scalar(sa.select(idempotency_keys.c.body))
    assert first["key"].encode() not in stored


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256])
async def test_a_key_that_cannot_be_one_is_refused(node: Node, key: str) -> None:
    status, problem, _ = await node.call(
        "POST", "/enterprises", node.operator, _body(1), Idempotency_Key=key
    )
    assert (status, problem["field"]) == (400, "Idempotency-Key")
    assert (await node.counts())["enterprises"] == 0
