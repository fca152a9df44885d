"""An application of an SNMS node is pointed at ours: nothing of it changes but the address."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.e2e.node import Node, command, eventually, free_port, serve

USER, PASSWORD = "mes", "quiet heron 47 over the lock"
CHINA = datetime.timezone(datetime.timedelta(hours=8))


@dataclass
class Application:
    """Does what the guide tells applications to do, with the standard library alone."""

    address: str
    token: str = ""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = Request(self.address + path, data, headers, method=method)
        with urlopen(request, timeout=20) as reply:
            answer = json.loads(reply.read())
        assert answer["status"] == 1, answer
        return answer["data"]

    def sign_in(self) -> None:
        today = datetime.datetime.now(CHINA).strftime("%Y-%m-%d")
        body = {"username": USER, "password": _sha256(_sha256(PASSWORD) + today)}
        self.token = self.call("POST", "/identity/token/v1", body)["token"]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _record(handle: str, text: str) -> dict[str, Any]:
    data = {"format": "string", "value": text}
    value = {"data": data, "auth": "", "index": 2000, "type": "NAME"}
    return {"handle": handle, "templateVersion": "pump", "value": [value]}


def _template(prefix: str) -> dict[str, Any]:
    metadata = {"type": "string", "minLength": 1, "maxLength": 60}
    return {
        "prefix": prefix,
        "version": "pump",
        "industryCategory": "C",
        "industrySpecific": "34",
        "industryTrade": "344",
        "industrySubclass": "3441",
        "type": 2,
        "items": [{"name": "名称", "idType": "NAME", "idIndex": 2000, "metadata": metadata}],
    }


def _enroll(node: Node) -> str:
    """Register an enterprise with a prefix and a user of the SNMS API; return the prefix."""
    prefix = node.register([])
    enterprise = node.get("/api/v1/enterprises").json["items"][0]["id"]
    body = {"name": USER, "password": PASSWORD, "hashed": True}
    made = node.call("POST", f"/api/v1/enterprises/{enterprise}/snms-users", body)
    assert made.status == 201, made.body
    return prefix


def _resolved(node: Node, handle: str) -> str | None:
    answer = node.get(f"/api/handles/{handle}?index=2000")
    return answer.json["values"][0]["data"]["value"] if answer.status == 200 else None


def test_an_application_works_unchanged_and_what_it_registers_resolves(
    directory: Path, database_url: str
) -> None:
    with serve(directory, database_url=database_url, workers=2) as node:
        prefix = _enroll(node)
        application = Application(f"http://127.0.0.1:{node.http_port}")
        application.sign_in()
        application.call("POST", "/snms/api/v5/template", _template(prefix))
        handle = f"{prefix}/SN-1"
        assert application.call("POST", "/identityv2/data", _record(handle, "离心泵")) is True
        more = [f"{prefix}/SN-{n}" for n in range(2, 300)]
        data = application.call(
            "POST", "/identityv2/data/batchCreate", [_record(each, "泵") for each in more]
        )
        assert {item["msg"] for item in data} == {"success"}
        eventually(lambda: _resolved(node, handle) == "离心泵", "it resolves on every worker")
        eventually(lambda: _resolved(node, more[-1]) == "泵", "it resolves on every worker")
        application.call("PUT", "/identityv2/data", _record(handle, "齿轮泵"))
        eventually(lambda: _resolved(node, handle) == "齿轮泵", "a change is seen")
    key = directory / "var" / "snms-key"
    assert key.stat().st_mode & 0o777 == 0o600
    with serve(directory, database_url=database_url) as node:
        application.address = f"http://127.0.0.1:{node.http_port}"
        detail = application.call("GET", f"/identityv2/data/detail?handle={handle}")
        assert detail["templateVersion"] == "pump", "a token outlives the node"
        application.sign_in()
        data = application.call("DELETE", "/identityv2/data/batchDelete", [handle, *more])
        assert {item["code"] for item in data} == {1}
        eventually(lambda: _resolved(node, handle) is None, "what is deleted does not resolve")


@pytest.mark.parametrize("octets", [None, b"no key", base64.b64encode(bytes(31))])
def test_a_key_that_cannot_be_used_stops_the_start(directory: Path, octets: bytes | None) -> None:
    file = directory / "own.key"
    if octets is not None:
        file.write_bytes(octets)
    ended = command(
        "serve",
        cwd=directory,
        http_port=free_port(),
        admin_port=free_port(),
        snms_key=file,
    )
    assert ended.returncode == 1
    assert "snms_key" in ended.stderr
    assert "own.key" in ended.stderr
    assert "Traceback" not in ended.stderr
