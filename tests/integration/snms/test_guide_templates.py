"""Each request and response of the guide about templates is answered as it is written there.

The examples stand in guide_templates.json (id-guide, docs/dev-tools/snms), each with its pages. The
numbers ``id`` and ``metadataId`` are the node's own. What version 5 lists in its table and not in
its example, ``idIndex`` and ``handle``, is there too. The item of that example is disabled; beside
it stands one here that is not, as every template needs.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from registry import metrics
from registry.api.app import make_app
from registry.database import Database
from registry.services import Registry
from tests.integration.registry_client import Node
from tests.integration.snms import support
from tests.integration.snms.support import Client

_FILE = Path(__file__).with_name("guide_templates.json")
EXAMPLES = json.loads(_FILE.read_text(encoding="utf-8"))
ANSWERED = [example for example in EXAMPLES if example.get("case") != "busy"]
BUSY = [example for example in EXAMPLES if example.get("case") == "busy"]

PATH = "/snms/api/v5/template"
GIVEN = {
    "88.101.5 has 1.0.1": ("88.101.5", "1.0.1", "模板1.0.1"),
    "88.101.5 has 1.0.0": ("88.101.5", "1.0.0", "before"),
    "88.101.0042 has 1.0.1": ("88.101.0042", "1.0.1", "before"),
}


@pytest.fixture
async def client(node: Node) -> Client:
    """The enterprise of the guide, signed in."""
    enterprise_id, _ = await support.enterprise(node, 1, "88.101.5", "88.101.0042")
    await support.user(node, enterprise_id)
    return await Client(node).sign_in()


def _item(type_: str, **more: Any) -> dict[str, Any]:
    metadata = {"type": "string", "minLength": 1, "maxLength": 10}
    return {"name": f"e{type_[-1:]}", "idType": type_, "metadata": metadata, **more}


async def _give(client: Client, prefix: str, version: str, description: str) -> None:
    head = {
        "prefix": prefix,
        "version": version,
        "industryCategory": "A",
        "industrySpecific": "01",
        "industryTrade": "011",
        "industrySubclass": "0111",
        "type": 1,
        "description": description,
    }
    items = [_item("ip", name="e1", state=0), _item("e2")]
    await client.must("POST", PATH, head | {"items": items})


def _name(example: dict[str, Any]) -> str:
    return f"{example['section']} {example.get('case', '')}".strip()


@pytest.mark.parametrize("example", ANSWERED, ids=_name)
async def test_the_example_is_answered_as_in_the_guide(
    client: Client, example: dict[str, Any]
) -> None:
    for given in example.get("given", []):
        await _give(client, *GIVEN[given])
    request, wanted = example["request"], example["response"]
    http, answer = await client.ask(request["method"], request["path"], request.get("body"))
    assert http == 200
    if request["method"] == "GET":
        answer["data"] = _comparable(answer["data"], wanted["data"])
    assert answer == wanted


def _comparable(answer: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Return what the guide shows of an answer, with its numbers; what it does not is ours."""
    item, shown = answer["items"][0], wanted["items"][0]
    assert isinstance(answer["id"], int)
    more = {"idIndex", "metadataId", "state"} if "state" in shown else set()
    assert set(item) == {"name", "idType", "metadata", "required"} | more
    assert item.get("idIndex", 2000) == 2000
    assert answer.pop("handle", "88.101.5/template/1.0.1") == "88.101.5/template/1.0.1"
    numbers = {name: shown[name] for name in ("metadataId",) if name in shown}
    item = {name: item[name] for name in shown} | numbers
    return answer | {"id": wanted["id"], "items": [item]}


@pytest.fixture
async def away() -> AsyncIterator[Client]:
    """A node without its database: it is busy with that."""
    database = Database("postgresql://nobody@127.0.0.1:1/nothing")
    registry = Registry(database, "88.118", lambda *_: None, metrics.private_row())
    client = TestClient(TestServer(make_app(registry)))
    await client.start_server()
    yield Client(Node(client, database, registry.row, "", ""), "x" * 40)
    await client.close()
    await database.close()


@pytest.mark.parametrize("example", BUSY, ids=_name)
async def test_a_node_that_cannot_at_the_moment_says_so_as_in_the_guide(
    away: Client, example: dict[str, Any]
) -> None:
    request = example["request"]
    answer = await away.ask(request["method"], request["path"], request.get("body"))
    assert answer == (200, example["response"])
