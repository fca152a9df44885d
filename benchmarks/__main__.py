"""`make bench`: measure everything, print the table, write it to benchmarks/results."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import uvloop

from benchmarks import compiled, machine, report, sample, servers
from benchmarks.node import serve
from benchmarks.plan import KNOWN, QUICK, UNASKED, WRITTEN, Plan
from benchmarks.report import Row
from benchmarks.rows import (
    batches,
    cached,
    counting,
    dns,
    escrow,
    exports,
    handle,
    imports,
    memory,
    miss,
    parts,
    proofs,
    recursion,
    registration,
    start,
    updates,
)
from benchmarks.store import Store, add_prefixes, fill, make_bare, postgres

RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; return the exit code. A missed limit is a result, not a failure."""
    options = _options(arguments)
    plan = QUICK if options.quick else Plan()
    if not options.no_install:
        servers.install_tools()
    cores = machine.choose_cores()
    os.sched_setaffinity(0, {cores.loading})  # and with it whatever makes load
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="idnode-bench-") as name:
        directory = Path(name)
        directory.chmod(0o711)  # PostgreSQL may run as another user
        with postgres(directory / "postgres", cores.serving) as store:
            described = machine.describe(store.binaries / "postgres", cores)
            for stage in options.only or _STAGES:
                rows += _STAGES[stage](plan, store, directory, cores)
    print(report.write(options.output, described, asdict(plan), rows))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="idnode bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small and short, to try it out")
    parser.add_argument("--no-install", action="store_true", help="do not install what is missing")
    parser.add_argument(
        "--only", action="append", choices=list(_STAGES), help="this stage; may be given again"
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="directory of the results")
    return parser.parse_args(arguments)


def _reads(plan: Plan, store: Store, directory: Path, cores: machine.Cores) -> list[Row]:
    _say(f"filling {plan.identifiers + plan.unasked:,} identifiers")
    sizes = {KNOWN: plan.identifiers, UNASKED: plan.unasked}
    url = uvloop.run(_filled(store, "reads", sizes))
    with serve(directory / "reads", cores, database_url=url, cache_bytes=plan.cache_bytes) as node:
        _say("warming the cache, checking every answer")
        rows = uvloop.run(memory.measure(plan, node))
        why = servers.missing("wrk")
        if why:
            return [
                *cached.not_measured(why),
                counting.not_measured(why),
                *miss.not_measured(why),
                *rows,
            ]
        _say("cached resolution")
        with _peers(directory, cores.serving) as (peers, absent):
            http = cached.measure(plan, node, peers, absent)
        http.append(counting.measure(plan, directory, http))
        _say("miss path")
        return [*http, *miss.measure(plan, node, store, url, directory), *rows]


def _handle(plan: Plan, store: Store, directory: Path, cores: machine.Cores) -> list[Row]:
    why = compiled.missing()
    if why:
        return handle.not_measured(why)
    programs = directory / "programs"
    compiled.compile_all(programs)
    _say(f"filling {plan.handle_identifiers:,} identifiers")
    url = uvloop.run(_filled(store, "handle", {KNOWN: plan.handle_identifiers}))
    at = directory / "handle"
    with serve(at, cores, database_url=url, cache_bytes=plan.cache_bytes) as node:
        _say("the Handle protocol")
        return handle.measure(plan, node, programs, cores.serving)


def _dns(plan: Plan, store: Store, directory: Path, cores: machine.Cores) -> list[Row]:
    why = dns.unavailable()
    if why:
        return dns.not_measured(why)
    _say(f"filling {plan.dns_identifiers:,} identifiers")
    url = uvloop.run(_filled(store, "dns", {KNOWN: plan.dns_identifiers}))
    at = directory / "dns"
    with serve(at, cores, database_url=url, cache_bytes=plan.cache_bytes) as node:
        _say("DNS")
        return dns.measure(plan, node, directory / "dnsperf", cores.serving)


def _recursion(plan: Plan, store: Store, directory: Path, cores: machine.Cores) -> list[Row]:
    url = uvloop.run(_filled(store, "recursion", {KNOWN: plan.recursive + 1}))
    other = uvloop.run(store.create("recursive"))
    with serve(directory / "responsible", cores, database_url=url) as node:
        settings = {
            "prefix": "88.119",
            "recursion_clients": "127.0.0.0/8",
            "recursion_root": f"127.0.0.1:{node.handle.port}",
            "recursion_allow_private": "127.0.0.0/8",
            "recursion_client_rate": "0",
        }
        with serve(directory / "recursive", cores, database_url=other, more=settings) as recursive:
            _say("recursion")
            return recursion.measure(plan, node, recursive)


def _writes(plan: Plan, store: Store, directory: Path, cores: machine.Cores) -> list[Row]:
    url = uvloop.run(_empty(store))
    with serve(directory / "writes", cores, database_url=url) as node:
        _say("bulk import")
        rows = uvloop.run(imports.measure(plan, node, url))
        _say("batches")
        rows += uvloop.run(batches.measure(plan, node, url))
        why = servers.missing("wrk")
        if why:
            rows += registration.not_measured(why)
        else:
            _say("single registration")
            rows += uvloop.run(registration.measure(plan, node, store, url, directory))
    with serve(directory / "updates", cores, database_url=url, workers=2) as node:
        _say("updates seen by every worker")
        return rows + uvloop.run(updates.measure(plan, node))


def _relations(plan: Plan, store: Store, directory: Path, cores: machine.Cores) -> list[Row]:
    url = uvloop.run(_filled(store, "relations", {WRITTEN: 0}))
    with serve(directory / "relations", cores, database_url=url) as node:
        _say("parts of parts")
        return uvloop.run(parts.measure(plan, node, url))


def _exports(plan: Plan, store: Store, directory: Path, cores: machine.Cores) -> list[Row]:
    _say(f"export of {plan.identifiers:,} identifiers")
    url = uvloop.run(_filled(store, "exports", {WRITTEN: plan.identifiers}))
    with serve(directory / "exports", cores, database_url=url) as node:
        return uvloop.run(exports.measure(plan, node))


def _proofs(plan: Plan, store: Store, directory: Path, cores: machine.Cores) -> list[Row]:
    _say(f"a log of {plan.log_lines:,} lines")
    url = uvloop.run(store.create("proofs"))
    rows = uvloop.run(proofs.fill(plan, url))
    with serve(directory / "proofs", cores, database_url=url) as node:
        _say("proofs")
        return rows + uvloop.run(proofs.measure(plan, node, url))


def _escrow(plan: Plan, store: Store, directory: Path, cores: machine.Cores) -> list[Row]:
    _say(f"escrow of {plan.identifiers:,} identifiers")
    url = uvloop.run(_filled(store, "escrow", {WRITTEN: plan.identifiers}))
    at = directory / "escrow"
    at.mkdir()
    return uvloop.run(escrow.measure(plan, store, url, at))


def _start(plan: Plan, store: Store, directory: Path, cores: machine.Cores) -> list[Row]:
    _say("second start")
    return start.measure(directory / "start", cores)


_STAGES = {
    "reads": _reads,
    "handle": _handle,
    "dns": _dns,
    "recursion": _recursion,
    "writes": _writes,
    "relations": _relations,
    "exports": _exports,
    "proofs": _proofs,
    "escrow": _escrow,
    "start": _start,
}


@contextlib.contextmanager
def _peers(
    directory: Path, core: int
) -> Iterator[tuple[dict[str, servers.Server], dict[str, str]]]:
    """Run the peers; yield those that run, and why the others do not."""
    body = sample.body(KNOWN, 0)
    with contextlib.ExitStack() as stack:
        peers: dict[str, servers.Server] = {}
        absent: dict[str, str] = {}
        why = servers.missing("nginx")
        for name, in_memory in (("nginx", False), ("nginx_memory", True)):
            if why:
                absent[name] = why
            else:
                server = servers.nginx(directory / name, body, core, in_memory=in_memory)
                peers[name] = stack.enter_context(server)
        for name, loop in (("aiohttp", "asyncio"), ("aiohttp_uvloop", "uvloop")):
            server = servers.stock(directory / name, body, core, loop=loop)
            peers[name] = stack.enter_context(server)
        yield peers, absent


async def _filled(store: Store, name: str, sizes: dict[str, int]) -> str:
    """Make a database with so many identifiers under each prefix; return its URL."""
    url = await store.create(name)
    await add_prefixes(url, list(sizes))
    for prefix, count in sizes.items():
        await fill(url, prefix, count)
    return url


async def _empty(store: Store) -> str:
    url = await store.create("writes")
    await add_prefixes(url, [WRITTEN])
    await make_bare(url)
    return url


def _say(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
