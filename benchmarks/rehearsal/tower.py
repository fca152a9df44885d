"""The tower: a top-level stub, secondary nodes enrolled with it, and nodes of enterprises."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from benchmarks.rehearsal.ground import Ground, Place
from benchmarks.rehearsal.nodes import (
    TOP_HANDLE_PORT,
    TOP_HTTPS_PORT,
    Part,
    RehearsalError,
)
from registry.credit_code import check_character

TTL = 5
"""Seconds for which half of the values hold: these are stale soon after a loss."""

_FILED_SECONDS = 60.0


@dataclass(frozen=True)
class Size:
    """How large a tower is.

    enterprises: of each secondary node. known: identifiers of each node that are asked for in
    every phase. fresh: those that are kept back, so that each phase has some that nobody has
    asked for before.
    """

    secondaries: int = 3
    enterprises: int = 2
    known: int = 20
    fresh: int = 100


SMALL = Size(secondaries=2, enterprises=1, known=6, fresh=30)


@dataclass
class Tower:
    """The running parts. known, fresh: names of identifiers by the node that holds them."""

    top: Part
    secondaries: list[Part]
    enterprises: list[Part]
    known: dict[str, list[str]]
    fresh: dict[str, list[str]]

    @property
    def entries(self) -> list[Part]:
        """The nodes that applications ask."""
        return [*self.secondaries, *self.enterprises]

    @property
    def parts(self) -> list[Part]:
        """All of it."""
        return [self.top, *self.entries]

    def close(self) -> None:
        """End all parts."""
        for part in reversed(self.parts):
            part.stop()


def plan(ground: Ground, directory: Path, database_url: str, size: Size) -> Tower:
    """Return the tower, with a database for each part, before anything of it runs."""
    place = ground.place()
    root = f"{place.address}:{TOP_HANDLE_PORT}"

    def part(name: str, program: str, at: Place, **settings: object) -> Part:
        database = "part_" + name.replace(".", "_").replace("-", "_")
        asyncio.run(_create(database_url, database))
        url = _of(database_url, database)
        return Part(name, program, at, directory / name, {"database_url": url, **settings})

    top = part("top-level", "toplevel", place, toplevel_address=place.address)
    common: dict[str, object] = {
        "workers": 1,
        "dns_port": 0,
        "site_networks": ground.network,
        "recursion_clients": ground.clients,
        "recursion_root": root,
        "recursion_allow_private": ground.network,
        "recursion_client_waiting": 0,  # all the questions come from one client
        "recursion_client_rate": 0,
    }
    url = f"https://{place.address}:{TOP_HTTPS_PORT}"
    secondaries, enterprises = [], []
    for number in range(size.secondaries):
        prefix = f"88.{118 + number}"
        secondaries.append(
            part(prefix, "serve", ground.place(), prefix=prefix, toplevel_url=url, **common)
        )
        for sub in range(1, size.enterprises + 1):
            own = f"{prefix}.{sub}"
            enterprises.append(part(own, "serve", ground.place(), prefix=own, **common))
    return Tower(top, secondaries, enterprises, {}, {})


async def _create(url: str, name: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()


def _of(url: str, name: str) -> str:
    head, question, query = url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}{question}{query}"


def build(tower: Tower, size: Size) -> None:
    """Start all of it, enrol the secondary nodes, delegate prefixes, register identifiers."""
    tower.top.start()
    tower.top.wait()
    for node in tower.secondaries:
        node.directory.mkdir(exist_ok=True)
        prefix = str(node.settings["prefix"])
        token = tower.top.command("toplevel", "invite", "--prefix", prefix)["token"]
        node.command("enrol", "--url", str(node.settings["toplevel_url"]), "--token", token)
    for node in tower.entries:  # one by one: all at once would starve each other of the cores
        node.start()
        node.wait()
    for number, node in enumerate(tower.enterprises):
        _delegate(_above(tower, node), node, number)
        _load(tower, node, node.name, size)
    for node in tower.secondaries:
        hosted = _prefix(node, _enterprise(node, 900), {"hosting": "hosted"})
        node.call("POST", f"/api/v1/prefixes/{hosted}/approve")
        _load(tower, node, hosted, size)
    _wait_until_filed(tower)


def _above(tower: Tower, node: Part) -> Part:
    return next(one for one in tower.secondaries if node.name.startswith(one.name + "."))


def _delegate(above: Part, node: Part, number: int) -> None:
    """Have a secondary node check the node of an enterprise and delegate its prefix to it."""
    site = node.call("GET", "/api/site")
    wish = {"prefix": node.name, "hosting": "delegated", "site": site}
    prefix = _prefix(above, _enterprise(above, number), wish)
    check = above.call("POST", f"/api/v1/prefixes/{prefix}/check", {})
    if not check["passed"]:
        raise RehearsalError(f"{above.name}: the site of {prefix} did not pass: {check}")
    above.call("POST", f"/api/v1/prefixes/{prefix}/approve")


def _enterprise(node: Part, number: int) -> str:
    body = f"91350211M{number:08d}"
    enterprise = {
        "name": f"Works {number}",
        "credit_code": body + check_character(body),
        "industry": "C3441",
        "contact": {"name": "Desk", "phone": "+86 592 5550100", "email": "desk@works.example"},
    }
    made: str = node.call("POST", "/api/v1/enterprises", enterprise)["id"]
    return made


def _prefix(node: Part, enterprise: str, wish: dict[str, object]) -> str:
    body = {"enterprise_id": enterprise, **wish}
    made: str = node.call("POST", "/api/v1/prefixes", body)["prefix"]
    return made


def url_of(name: str) -> str:
    """Return the value that an identifier has."""
    return f"https://works.example/{name}"


def _load(tower: Tower, node: Part, prefix: str, size: Size) -> None:
    known = [f"{prefix}/KNOWN-{number}" for number in range(size.known)]
    fresh = [f"{prefix}/FRESH-{number}" for number in range(size.fresh)]
    operations = [
        {
            "op": "put",
            "identifier": name,
            "values": [
                {
                    "index": 1,
                    "type": "URL",
                    "data": {"format": "string", "value": url_of(name)},
                    "ttl": TTL if number % 2 else 86400,
                }
            ],
        }
        for number, name in enumerate(known + fresh)
    ]
    done = node.call("POST", "/api/v1/identifiers:batch", {"operations": operations})
    if done["created"] != len(operations):
        raise RehearsalError(f"{node.name}: not all identifiers were registered: {done}")
    tower.known[node.name], tower.fresh[node.name] = known, fresh


def _wait_until_filed(tower: Tower) -> None:
    """Wait until the outbox of every secondary node is empty: the top level knows all."""
    end = time.monotonic() + _FILED_SECONDS
    for node in tower.secondaries:
        while waiting := node.call("GET", "/api/v1/outbox")["items"]:
            if time.monotonic() > end:
                raise RehearsalError(f"{node.name}: not filed: {waiting}")
            time.sleep(0.2)
