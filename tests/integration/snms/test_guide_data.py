"""Each request and response of the guide about identifiers is answered as it is written there.

The examples stand in guide_data.json (id-guide, docs/dev-tools/snms), each with its pages.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.registry_client import Node
from tests.integration.snms import support
from tests.integration.snms.support import Client, record

_FILE = Path(__file__).with_name("guide_data.json")
EXAMPLES = json.loads(_FILE.read_text(encoding="utf-8"))

Given = Callable[[Client], Awaitable[Any]]


def _registered(*records: dict[str, Any]) -> Given:
    async def given(client: Client) -> None:
        for each in records:
            await client.must("POST", "/identityv2/data", each)

    return given


GIVEN: dict[str, Given] = {
    "88.709.911/123 is registered": _registered(
        record("88.709.911/123", "666", (2000, "test", "88.709.0000/123"))
    ),
    "88.1021.150/002 is registered without values": _registered(record("88.1021.150/002", "1.0")),
    "88.1021.150/xx002 is registered": _registered(
        record("88.1021.150/xx002", "1.0", (2000, "name", "before"))
    ),
    "88.101.0042/001 and 002 are registered": _registered(
        record("88.101.0042/001", "1.0.0"), record("88.101.0042/002", "1.0.0")
    ),
    "86.709.612/cc and cc1 are registered": _registered(
        record("86.709.612/cc", "1.0"), record("86.709.612/cc1", "1.0")
    ),
}


@pytest.fixture
async def client(node: Node) -> Client:
    """The enterprise of the guide, signed in."""
    prefixes = ("88.1021.150", "88.101.0042", "86.709.612", "88.709.911")
    enterprise_id, key = await support.enterprise(node, 1, *prefixes)
    await support.template(node, "88.1021.150", key, "1.0", "name")
    await support.template(node, "88.101.0042", key, "1.0.0", "URL", "URL2")
    await support.template(node, "86.709.612", key, "1.0", "name")
    await support.template(node, "88.709.911", key, "666", "test")
    await support.user(node, enterprise_id)
    return await Client(node).sign_in()


def _name(example: dict[str, Any]) -> str:
    return f"{example['section']} {example.get('case', '')}".strip()


@pytest.mark.parametrize("example", EXAMPLES, ids=_name)
async def test_the_example_is_answered_as_in_the_guide(
    client: Client, example: dict[str, Any]
) -> None:
    for given in example.get("given", []):
        await GIVEN[given](client)
    request = example["request"]
    http, answer = await client.ask(request["method"], request["path"], request.get("body"))
    assert (http, answer) == (200, example["response"])
