"""What nobody may send is refused by the SNMS API wherever it can be sent, in Chinese.

The places are taken from the OpenAPI document, the bodies that get through from test_isolation.py.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from tests.integration import bad_input, tenants
from tests.integration.bad_input import Place
from tests.integration.registry_client import Node
from tests.integration.snms.support import Client
from tests.integration.snms.test_isolation import CASES, OPEN

_CHINESE = re.compile("[\u4e00-\u9fff]")
_CREDENTIALS = {"username": "mes", "password": tenants.PASSWORD}
OPAQUE = re.compile(r"(data\.value|\.auth)$")
"""Data of a value is its owner's: a text in Arabic needs marks of direction. auth is not kept."""


async def test_no_body_takes_what_nobody_may_send(node: Node) -> None:
    own = await tenants.make(node, 1)
    client = await Client(node).sign_in(f"mes {own.mark}", tenants.PASSWORD)
    document = await (await node.client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    faults, tried = [], Counter[str]()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            name = operation["operationId"]
            content = operation.get("requestBody", {}).get("content", {})
            if path.startswith("/api/v1/") or "application/json" not in content:
                continue
            whole = _CREDENTIALS if name in OPEN else _whole(name, own.prefix)
            for place in bad_input.places(content["application/json"]["schema"], schemas):
                for what, field, body in _bad(whole, place):
                    tried[what] += 1
                    fault = await _fault(client, method.upper(), path, body)
                    faults += [f"{name} {field}, {what}: {fault}"] if fault else []
    print(dict(tried))
    assert sum(tried.values()) > 300, "most operations have bodies"
    assert not faults, "\n".join(faults)


def _whole(name: str, prefix: str) -> Any:
    body = CASES[name][1]
    assert body is not None, name
    return body(prefix)


def _bad(whole: Any, place: Place) -> list[tuple[str, str, Any]]:
    if not bad_input.reached(whole, place.path):
        return []
    return [
        each
        for each in bad_input.bad(whole, place)
        if not (each[0] == bad_input.BIDIRECTIONAL and OPAQUE.search(each[1]))
    ]


async def _fault(client: Client, method: str, path: str, body: Any) -> str | None:
    """Return what is wrong with the refusal of a request; None if it is one."""
    http, answer = await client.ask(method, path, json.dumps(body).encode())
    items = answer["data"] if isinstance(answer["data"], list) else []
    message = items[0]["msg"] if items else answer["message"]
    if http != 200 or message == "success":
        return f"{http} {answer}, which is no refusal"
    return None if _CHINESE.search(message) else f"not in Chinese: {message}"
