"""One identifier through four nodes, each a real process, and the trace of the way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.conftest import with_database
from tests.e2e.node import Node, command, environment, eventually, free_port, serve

HERE = "127.0.0.1"
URL = "https://pumps.example/SN-1"
NODE_TOKEN = "tower-token-0123456789"


@dataclass
class Tower:
    """The nodes, and the ports of Handle: top level, secondary, enterprise, recursive."""

    secondary: Node
    enterprise: Node
    recursive: Node
    ports: list[int]

    @property
    def root(self) -> str:
        return f"{HERE}:{self.ports[0]}"


@pytest.fixture
def tower(directory: Path, postgres_url: str, template_url: str) -> Iterator[Tower]:
    ports = [free_port() for _ in range(4)]
    with contextlib.ExitStack() as stack:
        urls = [stack.enter_context(_database(postgres_url, template_url)) for _ in range(4)]
        top = stack.enter_context(_toplevel(directory, urls[0], ports[0]))

        def node(number: int, **settings: Any) -> Node:
            own = directory / str(number)
            own.mkdir(mode=0o711)
            settings |= {"database_url": urls[number], "handle_port": ports[number]}
            return stack.enter_context(serve(own, **settings))

        upward = {"toplevel_url": f"http://{HERE}:{top}", "toplevel_token": NODE_TOKEN}
        yield Tower(
            node(1, **upward),
            node(2, prefix="88.118.2"),
            node(
                3,
                prefix="88.119",
                recursion_clients="127.0.0.0/8",
                recursion_root=f"{HERE}:{ports[0]}",
                recursion_allow_private="127.0.0.0/8",
            ),
            ports,
        )


@contextlib.contextmanager
def _database(postgres_url: str, template_url: str) -> Iterator[str]:
    name = f"t_{uuid.uuid4().hex[:12]}"
    template = template_url.partition("?")[0].rpartition("/")[2]

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(postgres_url)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(execute(f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield with_database(postgres_url, name)
    asyncio.run(execute(f"DROP DATABASE {name} WITH (FORCE)"))


@contextlib.contextmanager
def _toplevel(directory: Path, database_url: str, handle_port: int) -> Iterator[int]:
    port, log = free_port(), directory / "toplevel.log"
    settings = {
        "database_url": database_url,
        "data_dir": directory / "toplevel",
        "toplevel_port": port,
        "toplevel_handle_port": handle_port,
        "toplevel_token": NODE_TOKEN,
        "toplevel_plain": True,
        "toplevel_https_port": 0,
    }
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "admin.cli", "toplevel", "--lifeline"],
            cwd=directory,
            env=environment(**settings),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
        )

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        return b"toplevel_ready" in log.read_bytes()

    try:
        eventually(ready, "the top level is ready")
        yield port
    finally:
        process.terminate()
        process.wait(30)
        assert process.stdin is not None
        process.stdin.close()


def _deliver(tower: Tower) -> None:
    """Have 88.118.1 hosted with the service, and 88.118.2 delegated to it, filed at the top."""
    hosted = tower.secondary.register(["SN-1"])
    interfaces = [
        {"query": True, "admin": False, "protocol": protocol, "port": tower.ports[2]}
        for protocol in ("TCP", "UDP")
    ]
    site = {"servers": [{"serverId": 1, "address": HERE, "interfaces": interfaces}]}
    values = [{"index": 1, "type": "HS_SITE", "data": {"format": "site", "value": site}}]
    put = tower.secondary.call("PUT", f"/api/v1/identifiers/{hosted}/NODE", {"values": values})
    assert put.status == 201, put.body
    made = tower.secondary.call("GET", "/api/v1/enterprises").json["items"][0]
    body = {"enterprise_id": made["id"], "hosting": "delegated", "service": f"{hosted}/NODE"}
    prefix = tower.secondary.call("POST", "/api/v1/prefixes", body).json["prefix"]
    assert prefix == "88.118.2"
    approve = {"force": True, "reason": "it is on this machine"}
    answer = tower.secondary.call("POST", f"/api/v1/prefixes/{prefix}/approve", approve)
    assert answer.status == 200, answer.body
    assert tower.enterprise.put("88.118.2", "SN-1").status == 201

    def filed() -> bool:
        done = command(
            "resolve", "0.NA/88.118.2", "--udp", "--port", str(tower.ports[0]), cwd=Path.cwd()
        )
        return done.returncode == 0

    eventually(filed, "the top level knows the prefix")


@pytest.mark.timeout(240)
def test_an_identifier_is_found_from_the_other_end_and_the_trace_tells_the_way(
    tower: Tower, directory: Path
) -> None:
    _deliver(tower)
    answer = tower.recursive.ask("88.118.2/SN-1")
    assert answer.status == 200, answer.body
    assert answer.json["values"][0]["data"]["value"] == URL
    assert tower.recursive.ask("88.118.1/SN-1").json["values"][0]["data"]["value"] == URL
    assert tower.recursive.ask("88.118.2/NONE").status == 404

    asked = ("resolve", "88.118.2/SN-1", "--udp", "--port", str(tower.ports[3]), "--trace")
    done = command(*asked, "--recursion-root", tower.root, cwd=directory)
    assert done.returncode == 0, done.stderr
    for port in tower.ports:
        assert f"udp://{HERE}:{port}" in done.stdout, f"no step at {port}: {done.stdout}"
    assert "after 0." in done.stdout, "each step has its time"
    told = json.loads(
        command(*asked, "--json", "--recursion-root", tower.root, cwd=directory).stdout
    )
    assert told["values"][0]["data"]["value"] == URL
    assert told["walk"]["values"][0]["data"]["value"] == URL
    steps = [(one["event"], one["server"]) for one in told["walk"]["trace"]]
    top, secondary, enterprise = (f"udp://{HERE}:{port}" for port in tower.ports[:3])
    assert steps[0] == ("ask", top)
    assert ("refer", top) in steps
    assert ("receive", secondary) in steps
    assert steps[-1] == ("receive", enterprise)
    times = [one["at"] for one in told["walk"]["trace"]]
    assert times == sorted(times)

    # What was asked for once is answered when the rest of the tower is gone.
    assert tower.recursive.metric("idnode_recursion_queries_total", outcome="asked") >= 3
    before = tower.recursive.metric("idnode_recursion_sent_total")
    assert tower.recursive.ask("88.118.2/SN-1").status == 200
    assert tower.recursive.metric("idnode_recursion_sent_total") == before
