"""What must not be registered is refused at every door, and nothing is written.

The doors: single writes and batches over HTTP, imports of each format, ranges, the SNMS API, the
Handle protocol, the Handle JSON API.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from protocol.errors import ResponseCode
from protocol.handle.header import OpCode
from protocol.handle.requests import ValuesRequest
from protocol.values import HandleValue
from registry.database import Database
from tests.integration import handle_support, rest_support
from tests.integration.import_support import error_rows, imported
from tests.integration.snms import support as snms
from tests.integration.template_support import item, published, value
from tests.xlsx_support import by_xlsxwriter


@dataclass
class House:
    """A node, and an enterprise in it with a prefix, keys and a template."""

    node: handle_support.Node
    prefix: str
    key: str
    actor: handle_support.Actor
    client: snms.Client
    front: rest_support.Front

    async def ask(self, method: str, path: str, body: Any) -> str | None:
        status, answer, _ = await self.node.http.call(method, path, self.key, body)
        assert status < 500, answer
        return None if status < 300 else answer["detail"]


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with handle_support.running(database) as node:
        prefix, key, actor = await handle_support.owned(node)
        await published(node.http, prefix, key, items=[item(2000, "NAME", name="名称")])
        (row,) = await node.sql("SELECT enterprise_id FROM prefixes WHERE hosting = 'hosted'")
        await snms.user(node.http, str(row[0]))
        client = await snms.Client(node.http).sign_in()
        async with rest_support.serving(database.url, tmp_path) as front:
            house = House(node, prefix, key, actor, client, front)
            assert await _put(house, "here", [value(2000, "NAME", "x")]) is None
            yield house


Values = list[dict[str, Any]]
Door = Callable[[House, str, Values], Awaitable[str | None]]
"""Sends a suffix and values; returns why it is refused, None if it is not."""


def _at(house: House, suffix: str) -> str:
    return f"/identifiers/{house.prefix}/{quote(suffix, safe='')}"


async def _put(house: House, suffix: str, values: Values) -> str | None:
    return await house.ask("PUT", _at(house, suffix), {"values": values})


async def _patch(house: House, suffix: str, values: Values) -> str | None:
    """Change what is there: nothing is registered at this door."""
    del suffix
    return await house.ask("PATCH", _at(house, "here"), {"values": values})


async def _batch(house: House, suffix: str, values: Values) -> str | None:
    one = {"op": "put", "identifier": f"{house.prefix}/{suffix}", "values": values}
    return await house.ask("POST", "/identifiers:batch", {"operations": [one]})


async def _range(house: House, suffix: str, values: Values) -> str | None:
    place = {"prefix": house.prefix, "first": f"{suffix}-1", "last": f"{suffix}-9"}
    return await house.ask("POST", "/ranges", {**place, "values": values})


async def _ndjson(house: House, suffix: str, values: Values) -> str | None:
    return await _file(house, "ndjson", json.dumps({"suffix": suffix, "values": values}).encode())


async def _csv(house: House, suffix: str, values: Values) -> str | None:
    header = ",".join(["suffix", *(f"{each['index']}:{each['type']}" for each in values)])
    cells = ",".join([f'"{suffix}"', *(each["data"]["value"] for each in values)])
    return await _file(house, "csv", f"{header}\n{cells}\n".encode())


async def _xlsx(house: House, suffix: str, values: Values) -> str | None:
    header = ["suffix", *(f"{each['index']}:{each['type']}" for each in values)]
    cells = [suffix, *(each["data"]["value"] for each in values)]
    return await _file(house, "xlsx", by_xlsxwriter([header, cells]))


async def _file(house: House, form: str, data: bytes) -> str | None:
    http = house.node.http
    record = await imported(http, house.key, data, f"?format={form}&prefix={house.prefix}")
    if record["state"] == "failed":
        return str(record["reason"])
    rows = await error_rows(http, house.key, record["id"])
    return rows[1][2] if record["failed"] else None


async def _snms(house: House, suffix: str, values: Values) -> str | None:
    sent = [(each["index"], each["type"], each["data"]["value"]) for each in values]
    body = snms.record(f"{house.prefix}/{suffix}", "pump", *sent)
    http, answer = await house.client.ask("POST", "/identityv2/data", body)
    assert http < 500
    return None if answer["status"] == 1 else str(answer["message"])


async def _json_api(house: House, suffix: str, values: Values) -> str | None:
    identity = f"301:0.NA/{house.prefix}"
    auth = rest_support.basic(identity, handle_support.SECRET.decode())
    path = f"/api/handles/{house.prefix}/{quote(suffix, safe='')}"
    answer = await house.front.ask("PUT", path, values, auth)
    assert answer.status < 500, answer.body
    return None if answer.status < 300 else answer.body.decode()


async def _handle(house: House, suffix: str, values: Values) -> str | None:
    sent = tuple(
        HandleValue(each["index"], each["type"], each["data"]["value"].encode()) for each in values
    )
    body = ValuesRequest(f"{house.prefix}/{suffix}", sent)
    (first,) = await house.node.send(handle_support.ask(OpCode.CREATE_HANDLE, body))
    if first.header.response_code != ResponseCode.AUTHENTICATION_NEEDED:
        return f"response code {first.header.response_code}"
    code = await house.node.code(house.actor, OpCode.CREATE_HANDLE, body)
    return None if code == ResponseCode.SUCCESS else f"response code {code}"


DOORS: dict[str, Door] = {
    "put": _put,
    "patch": _patch,
    "batch": _batch,
    "range": _range,
    "ndjson": _ndjson,
    "csv": _csv,
    "xlsx": _xlsx,
    "snms": _snms,
    "json api": _json_api,
    "handle": _handle,
}
BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
UNSEEN = BIDI + "\0\x07\x7f\u200e\u200f\u061c\u2028\ufeff"


async def _registered(house: House) -> list[tuple[Any, ...]]:
    return await house.node.sql(
        "SELECT prefix, suffix FROM identifiers UNION ALL SELECT prefix, spelling FROM ranges"
    )


@pytest.mark.parametrize("door", [name for name in DOORS if name != "patch"])
async def test_names_with_characters_that_nobody_sees_are_refused(house: House, door: str) -> None:
    before = await _registered(house)
    for character in UNSEEN:
        if door in ("csv", "xlsx") and character in "\0\x07":
            continue  # no character of such a file: see the readers' own tests
        for suffix in (f"a{character}b", f"{character}b", f"a{character}"):
            told = await DOORS[door](house, suffix, [value(2000, "NAME", "x")])
            assert told is not None, f"{door} takes U+{ord(character):04X} in {suffix!r}"
    assert await _registered(house) == before
    assert await DOORS[door](house, "right", [value(2000, "NAME", "x")]) is None, "no accident"


MARKS = "\u200e\u200f\u061c\u200b\ufeff\u2028"


@pytest.mark.parametrize("door", DOORS)
async def test_texts_that_are_shown_in_another_order_are_refused(house: House, door: str) -> None:
    before = await _registered(house)
    for character in BIDI:
        told = await DOORS[door](house, "turned", [value(2000, "NAME", f"泵{character}pdf")])
        assert told is not None, f"{door} takes U+{ord(character):04X} in a value"
        if door not in ("handle", "json api"):
            assert "U+202A" in told, (door, told)
    assert await _registered(house) == before
    text = f"مضخة{MARKS} 7"
    assert await DOORS[door](house, "marked", [value(2000, "NAME", text)]) is None, "marks may stay"


async def test_bytes_that_are_no_text_may_be_any(house: House) -> None:
    """What looks like an override in them is none."""
    for data in (b"\xff\xe2\x80\xae", b"\0\xe2\x81\xa6", b"\xe2\x80\xae\xe2"):
        bare = {"format": "base64", "value": base64.b64encode(data).decode()}
        values = [{"index": 2000, "type": "NAME", "data": bare}]
        assert await _put(house, "bytes", values) is None, data
    text = {"format": "base64", "value": base64.b64encode("a\u202eb".encode()).decode()}
    told = await _put(house, "bytes", [{"index": 2000, "type": "NAME", "data": text}])
    assert told is not None, "it is shown as a text, however it is sent"


@pytest.mark.parametrize("door", DOORS)
async def test_two_values_with_one_index_are_refused(house: House, door: str) -> None:
    before = await _registered(house)
    twice = [value(2000, "NAME", "x"), value(2000, "NAME", "y")]
    assert await DOORS[door](house, "twice", twice) is not None
    assert await _registered(house) == before


NUMBERS = (-1, 0, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**40, 1.5, 1e300, True)


@pytest.mark.parametrize("door", [name for name in DOORS if name != "handle"])
async def test_numbers_that_are_no_index_are_refused_however_large(house: House, door: str) -> None:
    """The Handle protocol has four octets for each: none of these can be written there."""
    before = await _registered(house)
    for number in NUMBERS:
        values = [{**value(2000, "NAME", "x"), "index": number}]
        assert await DOORS[door](house, "number", values) is not None, number
    assert await _registered(house) == before


@pytest.mark.parametrize("door", ["put", "patch", "batch", "range", "ndjson", "json api"])
async def test_ttls_that_are_none_and_members_that_nobody_knows_are_refused(
    house: House, door: str
) -> None:
    before = await _registered(house)
    right = value(2000, "NAME", "x")
    for number in (-1, 2**31, 2**63, 2**64, 10**40, 1.5):
        assert await DOORS[door](house, "ttl", [{**right, "ttl": number}]) is not None, number
    for member in ("owner", "prefix", "version", "handle"):
        assert await DOORS[door](house, "more", [{**right, member: "x"}]) is not None, member
    assert await _registered(house) == before


@pytest.mark.parametrize("path", ["/identifiers", "/imports", "/mappings", "/ranges"])
async def test_limits_and_cursors_beyond_64_bits_are_refused(house: House, path: str) -> None:
    for query in (f"limit={2**63}", f"limit={10**40}", "limit=-1", "cursor=%00", "cursor=x"):
        status, answer, _ = await house.node.http.call(
            "GET", f"{path}?prefix={house.prefix}&{query}", house.key
        )
        assert status in (400, 422), (query, answer)
