"""Clients follow the referrals of a node to the node of an enterprise: both nodes run.

The node of the enterprise serves its prefix, and one that derives from it, whatever the other says
of them: that they derive from a hosted prefix, are delegated to a site, or to a service.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from protocol.identifier import Identifier
from resolver.client.exchange import Asking
from resolver.client.resolving import resolve
from resolver.client.steps import Endpoint
from tests.e2e.node import Node, eventually, free_port, serve
from tests.interop import java
from tests.interop.conftest import CLIENTS, new_database

pytestmark = pytest.mark.timeout(java.BUILD_SECONDS + 120)

PREFIX, SERVICE = "88.118.1", "88.118.2/NODE"
DERIVED, OWN = f"{PREFIX}.1/PUMP", f"{PREFIX}/PUMP"
FOUND = "https://pumps.example/PUMP"


@dataclass(frozen=True)
class Pair:
    """Two nodes. site: of the one of the enterprise, in Handle JSON."""

    root: Node
    port: int
    site: dict[str, Any]

    def tell(self, method: str, path: str, body: object) -> None:
        answer = self.root.call(method, f"/api/v1/{path}", body)
        assert answer.status in (200, 201), answer.body

    def until_referred(self, name: str, type_: str) -> None:
        def holds() -> bool:
            values = self.root.get(f"/api/handles/{name}").json.get("values", [])
            return [value["type"] for value in values] == [type_]

        eventually(holds, f"the root refers {name} by {type_}")


def at(site: dict[str, Any], index: int, type_: str) -> dict[str, Any]:
    return {"index": index, "type": type_, "data": {"format": "site", "value": site}}


@pytest.fixture(scope="module")
async def database_urls(postgres_url: str, template_url: str) -> list[str]:
    return [await new_database(postgres_url, template_url) for _ in range(2)]


@pytest.fixture(scope="module")
def pair(database_urls: list[str]) -> Iterator[Pair]:
    directory = Path(tempfile.mkdtemp(prefix="idnode-referrals-"))
    (directory / "root").mkdir()
    (directory / "own").mkdir()
    port = free_port()
    with (
        serve(directory / "root", database_url=database_urls[0], handle_port=port) as root,
        serve(
            directory / "own",
            database_url=database_urls[1],
            handle_port=free_port(),
            prefix=PREFIX,
        ) as own,
    ):
        assert own.register(["PUMP"]) == f"{PREFIX}.1"
        assert own.put(PREFIX, "PUMP").status == 201
        assert root.register([]) == PREFIX
        pair = Pair(root, port, own.get("/api/site").json)
        (enterprise,) = root.get("/api/v1/enterprises").json["items"]
        body = {"enterprise_id": enterprise["id"], "prefix": "88.118.2", "hosting": "hosted"}
        pair.tell("POST", "prefixes", body)
        pair.tell("POST", "prefixes/88.118.2/approve", None)
        pair.tell("PUT", f"identifiers/{SERVICE}", {"values": [at(pair.site, 2, "HS_SITE")]})
        yield pair
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> java.Program:
    out = tmp_path_factory.mktemp("handle-client")
    built = java.build("handle-client", "ReferralProgram", "handle-client", out)
    if f"net.handle:{built.client}" not in CLIENTS:
        CLIENTS.append(f"net.handle:{built.client}")
    return built


async def found_by_both(
    pair: Pair, program: java.Program, names: list[str]
) -> dict[str, tuple[int, list[str]]]:
    """Return what the root says of names that handle-client and our own client then find."""
    steps = program.run("127.0.0.1", str(pair.port), *names)
    for name in names:
        line = steps[name]
        assert line.get("found") == {"code": 1, "types": ["URL"], "data": FOUND}, (name, line)
        asking = Asking(Identifier.parse(name), request_id=7, now=1_800_000_000)
        for transport in ("udp", "tcp"):
            ours = await resolve(asking, Endpoint(transport, "127.0.0.1", pair.port))
            assert [value.data.decode() for value in ours.values] == [FOUND], (name, transport)
    return {name: (steps[name]["root"]["code"], steps[name]["root"]["types"]) for name in names}


@pytest.mark.parametrize("by", ["HS_SITE.PREFIX", "HS_SERV.PREFIX"])
async def test_what_derives_from_a_hosted_prefix_is_found(
    pair: Pair, program: java.Program, by: str
) -> None:
    place = at(pair.site, 2, by)
    if by == "HS_SERV.PREFIX":
        place["data"] = {"format": "string", "value": SERVICE}
        of_derived = at(pair.site, 3, "HS_SITE.PREFIX")
        pair.tell("PATCH", f"identifiers/{SERVICE}", {"values": [of_derived]})
    pair.tell("PATCH", f"identifiers/0.NA/{PREFIX}", {"values": [place]})
    pair.until_referred(DERIVED, by)
    said = await found_by_both(pair, program, [DERIVED])
    assert said == {DERIVED: (303, [by])}


@pytest.mark.parametrize("by", ["site", "service"])
async def test_what_is_delegated_is_found(pair: Pair, program: java.Program, by: str) -> None:
    place = {"site": pair.site} if by == "site" else {"service": SERVICE}
    why = {"force": True, "reason": "the site is on this machine"}
    pair.tell("PUT", f"prefixes/{PREFIX}/hosting", {"hosting": "delegated", **place, **why})
    kind = {"site": "HS_SITE", "service": "HS_SERV"}[by]
    pair.until_referred(DERIVED, kind)
    said = await found_by_both(pair, program, [DERIVED, OWN])
    assert said == {DERIVED: (302, [kind]), OWN: (302, [kind])}
