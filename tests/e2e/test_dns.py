"""A node asked over DNS by `idnode resolve --dns` and by the tools of Debian, kdig and dnsperf."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.node import Node, command, free_port, serve

REQUIRED = os.environ.get("DNS_TOOLS") == "required"


@pytest.fixture
def node(directory: Path, database_url: str) -> Iterator[tuple[Node, int]]:
    port = free_port()
    settings = {"dns_port": port, "workers": 2, "dns_responses_per_second": 0}
    with serve(directory, database_url=database_url, **settings) as running:
        yield running, port


def tool(name: str) -> str:
    """The path of a program; the test is skipped without it, where it is not required."""
    found = shutil.which(name)
    if found is None and not REQUIRED:
        pytest.skip(f"{name} is not installed")
    assert found, f"{name} is not installed"
    return found


def run(*arguments: object) -> str:
    done = subprocess.run(
        list(map(str, arguments)), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_idnode_resolve_asks_over_dns(directory: Path, node: tuple[Node, int]) -> None:
    running, port = node
    prefix = running.register(["SN-1"])
    number = prefix.rpartition(".")[2]

    def resolve(identifier: str, *arguments: str, code: int = 0) -> Any:
        done = command(
            "resolve", identifier, "--dns", "--json", *arguments, cwd=directory, dns_port=port
        )
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if code < 2 else done.stderr

    found = resolve(f"{prefix}/SN-1")
    assert found["responseCode"] == 1
    assert found["name"] == f"SN-1.{number}.118.88.oid-res.org"
    (value,) = found["values"]
    assert value["data"]["value"] == "https://pumps.example/SN-1"
    assert value["service"] == "ORS+UINF"
    absent = resolve(f"{prefix}/none", code=1)
    assert (absent["responseCode"], absent["rcode"]) == (100, "NXDOMAIN")
    assert "has no name in the DNS" in resolve(f"{prefix}/a/b", code=2)
    assert "--type" in resolve(f"{prefix}/SN-1", "--type", "URL", code=2)
    traced = resolve(f"{prefix}/SN-1", "--trace")
    assert [step["event"] for step in traced["trace"]] == ["send", "receive"]
    assert "ORS+UINF" in traced["trace"][1]["message"]
    text = command("resolve", f"{prefix}/SN-1", "--dns", cwd=directory, dns_port=port)
    assert "ORS+UINF          https://pumps.example/SN-1" in text.stdout


def test_kdig(node: tuple[Node, int]) -> None:
    kdig = tool("kdig")
    running, port = node
    prefix = running.register(["SN-1"])
    zone = "118.88.oid-res.org"
    name = f"sN-1.{prefix.rpartition('.')[2]}.{zone}"

    def ask(*arguments: str) -> str:
        return run(kdig, "@127.0.0.1", "-p", port, "+retry=0", *arguments)

    expected = f'{name}.\\s+86400\\s+IN\\s+NAPTR\\s+100 10 "U" "ORS\\+UINF" ".*/SN-1!" \\.'
    for way in (
        (),
        ("+tcp",),
        ("+edns", "+dnssec"),
        ("+cookie",),
        ("+tcp", "+cookie"),
        ("+bufsize=512",),
    ):
        for _ in range(3):
            answer = ask("NAPTR", name, *way)
            assert "status: NOERROR" in answer, way
            assert " aa " in answer.replace(";", " "), way
            assert re.search(expected, answer, re.IGNORECASE), (way, answer)
            assert ("COOKIE" in answer) == ("+cookie" in way), way
    nothing = ask("NAPTR", f"none.{zone}")
    assert "status: NXDOMAIN" in nothing
    assert re.search(f"{zone}.\\s+60\\s+IN\\s+SOA\\s+ns.{zone}. ", nothing)
    assert "status: NOERROR" in ask("TXT", name)
    assert "RFC8482" in ask("ANY", name)
    assert "status: REFUSED" in ask("NAPTR", "example.org")
    transfer = subprocess.run(
        [kdig, "@127.0.0.1", "-p", str(port), "AXFR", zone],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "REFUSED" in transfer.stdout + transfer.stderr
    assert "NAPTR" not in transfer.stdout


def test_dnsperf(directory: Path, node: tuple[Node, int]) -> None:
    """Every query of two seconds is answered rightly, cached or not, by both workers."""
    dnsperf = tool("dnsperf")
    running, port = node
    suffixes = [f"SN-{n}" for n in range(50)]
    number = running.register(suffixes).rpartition(".")[2]
    queries = directory / "queries"
    names = [f"{suffix}.{number}.118.88.oid-res.org NAPTR" for suffix in suffixes]
    queries.write_text("\n".join([*names, f"none.{number}.118.88.oid-res.org NAPTR"]) + "\n")
    for options in ((), ("-e",), ("-m", "tcp")):
        told = run(
            dnsperf, "-s", "127.0.0.1", "-p", port, "-d", queries, "-l", 2, "-q", 20, *options
        )
        sent = int(re.search(r"Queries sent:\s+(\d+)", told)[1])  # type: ignore[index]
        codes = dict(re.findall(r"(NOERROR|NXDOMAIN|\w+) (\d+) \(", told))
        assert sent > 51, told
        assert int(codes["NOERROR"]) + int(codes["NXDOMAIN"]) == sent, told
        assert abs(int(codes["NXDOMAIN"]) - sent / 51) <= 1, told
