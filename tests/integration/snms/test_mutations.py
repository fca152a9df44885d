"""Whatever is sent instead of what the guide says is answered with a reason: never with a failure.

Requests of the guide are changed at random places, by a seed that a failure names.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.registry_client import Node
from tests.integration.snms import support
from tests.integration.snms.support import Client

_HERE = Path(__file__).parent
REQUESTS: list[dict[str, Any]] = [
    example["request"]
    for name in ("guide_data.json", "guide_templates.json")
    for example in json.loads((_HERE / name).read_text(encoding="utf-8"))
    if "body" in example["request"]
]
REQUESTS += [
    {"method": "POST", "path": path, "body": {"username": "admin", "password": "123456"}}
    for path in ("/identity/token", "/identity/token/v1")
]
STRANGE: list[Any] = [
    None,
    True,
    0,
    -1,
    1001,
    2**31 - 1,
    2**31,
    2**63,
    2**70,
    1e308,
    0.5,
    "",
    " ",
    "2000",
    "NaN",
    "\x00",
    "\ufeff",
    "\u202e",
    "\ud7ff",
    "\U0010ffff",
    "x" * 256,
    "泵" * 129,
    "88.1021.150/",
    "/",
    "//",
    "0.NA/88.1021.150",
    "88.1021.150/template/x",
    "88.1021.150/%00",
    "'; DROP TABLE identifiers; --",
    [],
    {},
    [[]],
    {"": ""},
    {"handle": {"handle": {}}},
]
SEEDS, CHANGES_EACH = 6, 60
REASONED = {1, -1, -2, -3}


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container in a JSON value with each of its keys."""
    members = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, member in members:
        yield value, key
        yield from _places(member)


def _changed(chance: random.Random, body: Any) -> Any:
    if chance.random() < 0.03:
        return copy.deepcopy(chance.choice(STRANGE))
    body = copy.deepcopy(body)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        places = list(_places(body))
        if not places:
            break
        container, key = chance.choice(places)
        way = chance.random()
        if way < 0.15:
            del container[key]
        elif way < 0.25 and isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        elif way < 0.3 and isinstance(container, dict):
            container[chance.choice(("unknown", "Handle", "__proto__"))] = container[key]
        else:
            container[key] = copy.deepcopy(chance.choice(STRANGE))
    return body


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_whatever_is_sent_is_answered_with_a_reason(node: Node, seed: int) -> None:
    chance = random.Random(seed)
    prefixes = ("88.1021.150", "88.101.0042", "86.709.612", "88.101.5")
    enterprise_id, key = await support.enterprise(node, 1, *prefixes)
    await support.template(node, "88.1021.150", key, "1.0", "name")
    await support.template(node, "88.101.0042", key, "1.0.0", "URL", "URL2")
    await support.user(node, enterprise_id)
    client = await Client(node).sign_in()
    for _ in range(CHANGES_EACH):
        request = chance.choice(REQUESTS)
        body = _changed(chance, request["body"])
        raw = json.dumps(body).encode()
        http, answer = await client.ask(request["method"], request["path"], raw)
        told = (seed, request["method"], request["path"], raw[:500], answer)
        assert http == 200, told
        assert answer["status"] in REASONED, told
        assert set(answer) == {"message", "status", "data"}, told
        for item in answer["data"] if isinstance(answer["data"], list) else ():
            assert item["msg"], told
            assert item.get("code", 1) in REASONED, told
