"""NAPTR records from the cache over UDP, beside Knot DNS with the same ones, asked by dnsperf."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median

import dns.message
import dns.query
import dns.rrset

from benchmarks import sample
from benchmarks.ask import WrongAnswer
from benchmarks.load import LoadError, Run
from benchmarks.machine import cpu_seconds
from benchmarks.node import Node
from benchmarks.plan import KNOWN, NODE_PREFIX, Plan
from benchmarks.report import Limit, Row, unmeasured
from benchmarks.rows.cached import UNIT, check_hits, detail_of
from benchmarks.servers import Server, knot, missing
from protocol.dns.zones import ors_zone

_KNOT = "Knot DNS, NAPTR over UDP"
_WINDOW = 100  # queries under way: more than the socket of Knot has room for would be lost
_OURS = f"NAPTR over UDP, cached, {_WINDOW} queries under way"
_AT_LEAST = Limit("ratio", ">=", 0.6)
_TOOLS = ("dnsperf", "knotd")
_WARMING = 500  # under way while the cache is filled: reads wait for the database together
_TTL = 86_400
_SECONDS = 10.0
_PATIENCE_SECONDS = 300
_MOST_LOST = 0.001
_SAID = {
    "answers": r"Queries completed:\s+(\d+)",
    "lost": r"Queries lost:\s+(\d+)",
    "seconds": r"Run time \(s\):\s+([\d.]+)",
    "answer_bytes": r"Average packet size:.*response (\d+)",
    "latency": r"Average Latency \(s\):\s+([\d.]+)",
}


def unavailable() -> str | None:
    """Return why nothing can be measured, None if it can."""
    return next(filter(None, map(missing, _TOOLS)), None)


def not_measured(why: str) -> list[Row]:
    """Return the rows without figures."""
    return [
        unmeasured("knot_naptr", _KNOT, UNIT, why),
        unmeasured("dns_naptr", _OURS, UNIT, why, _AT_LEAST),
    ]


def measure(plan: Plan, node: Node, directory: Path, core: int) -> list[Row]:
    """Warm the cache, check an answer of both, then load both in turns.

    core: where Knot is to run, as the node does.
    """
    zone = str(ors_zone("", NODE_PREFIX))
    directory.mkdir()
    names = [_name(n, zone) for n in range(plan.dns_identifiers)]
    load = _Load(directory / "queries", plan.seconds)
    load.write(names)
    load.ask_each(node.dns, len(names))
    runs: dict[str, list[Run]] = {"knot": [], "ours": []}
    before = node.metric("idnode_cache_requests", outcome="hit")
    with knot(directory / "knot", zone, _records(names, zone), core) as peer:
        _check(names[-1], peer.port, node.dns.port)
        for _ in range(plan.rounds):
            runs["knot"].append(load.against(peer))
            runs["ours"].append(load.against(node.dns))
    check_hits(node, before, sum(run.requests for run in runs["ours"]))
    knots, ours = runs["knot"], runs["ours"]
    figures = {name: median(run.per_cpu for run in those) for name, those in runs.items()}
    ratio = median(a.per_cpu / b.per_cpu for a, b in zip(ours, knots, strict=True))
    return [
        Row("knot_naptr", _KNOT, UNIT, figures["knot"], detail=_detail(knots)),
        Row(
            "dns_naptr",
            _OURS,
            UNIT,
            figures["ours"],
            "Knot DNS",
            figures["knot"],
            ratio,
            _AT_LEAST,
            detail=_detail(ours),
        ),
    ]


def _name(n: int, zone: str) -> str:
    return f"SN-{sample.number(n)}.{KNOWN.rpartition('.')[2]}.{zone}"


def _records(names: list[str], zone: str) -> str:
    """Return the zone as a file: for each identifier what its URL is over DNS."""
    lines = [f"$ORIGIN {zone}.", f"$TTL {_TTL}"]
    lines += ["@ SOA ns hostmaster 1 3600 600 604800 60", "@ NS ns", "ns A 127.0.0.1"]
    for n, name in enumerate(names):
        url = sample.values(sample.number(n))[0].data.decode()
        lines.append(f'{name}. NAPTR 100 10 "U" "ORS+UINF" "!^.*$!{url}!" .')
    return "\n".join(lines) + "\n"


def _check(name: str, *ports: int) -> None:
    """Raise WrongAnswer unless all servers answer the same records."""
    answers = [_ask(name, port) for port in ports]
    if len(answers[0]) != 1 or any(answer != answers[0] for answer in answers):
        raise WrongAnswer(f"{name}: {answers}")


def _ask(name: str, port: int) -> list[tuple[int, str]]:
    query = dns.message.make_query(name, "NAPTR", use_edns=0)
    answer = dns.query.udp(query, "127.0.0.1", timeout=_SECONDS, port=port)
    return [(rrset.ttl, rrset.to_text()) for rrset in answer.answer]


@dataclass(frozen=True)
class _Load:
    """dnsperf with a file of queries, with EDNS as resolvers ask."""

    queries: Path
    seconds: int

    def write(self, names: list[str]) -> None:
        """Write the queries, in an order that is nobody's."""
        Random(1).shuffle(mixed := list(names))
        self.queries.write_text("".join(f"{name} NAPTR\n" for name in mixed))

    def ask_each(self, server: Server, count: int) -> None:
        """Ask once for every name. Raises LoadError unless all are answered."""
        said = self._run(server.port, "-n", 1, "-q", _WARMING, "-t", _PATIENCE_SECONDS)
        if said["answers"] != count:
            raise LoadError(f"dnsperf: {said['answers']:.0f} of {count} names were answered")

    def against(self, server: Server) -> Run:
        """Load a server. Raises LoadError for wrong answers, and for many that are lost."""
        before = cpu_seconds(server.pids)
        said = self._run(server.port, "-l", self.seconds, "-q", _WINDOW)
        cpu = cpu_seconds(server.pids) - before
        if not said["answers"] or said["lost"] > _MOST_LOST * (said["answers"] + said["lost"]):
            raise LoadError(f"dnsperf: {said['lost']:.0f} queries were lost")
        answers, milliseconds = int(said["answers"]), 1000 * said["latency"]
        octets = int(said["answer_bytes"]) * answers
        return Run(answers, said["seconds"], cpu, octets, milliseconds, milliseconds)

    def _run(self, port: int, *options: object) -> dict[str, float]:
        command = ("dnsperf", "-s", "127.0.0.1", "-p", port, "-d", self.queries, "-e", *options)
        result = subprocess.run(
            list(map(str, command)),
            capture_output=True,
            text=True,
            timeout=self.seconds + _PATIENCE_SECONDS,
            check=False,
        )
        found = {name: re.search(line, result.stdout) for name, line in _SAID.items()}
        codes = re.findall(r"([A-Z]+) \d+ \(", result.stdout)
        if result.returncode or not all(found.values()) or codes != ["NOERROR"]:
            raise LoadError(f"dnsperf: {result.stderr.strip()} {result.stdout.strip()[-500:]}")
        return {name: float(match[1]) for name, match in found.items() if match}


def _detail(runs: list[Run]) -> dict[str, float]:
    detail = detail_of(runs)
    del detail["p99_ms"]
    detail["mean_ms"] = round(detail.pop("p50_ms"), 3)
    return detail
