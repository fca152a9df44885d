"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Sizes of one run of the benchmarks. The defaults are those of `make bench`."""

    identifiers: int = 1_000_000
    """Registered identifiers that are asked for once the cache is warm."""
    unasked: int = 300_000
    """Further ones that nobody asked for, for the miss path."""
    handle_identifiers: int = 200_000
    """Those that are asked for in the Handle protocol."""
    dns_identifiers: int = 50_000
    """Those that are asked for over DNS, and records of the zone that Knot has."""
    cache_bytes: int = 4 * 2**30
    rounds: int = 5
    """Rounds of A B A B; the median counts."""
    seconds: int = 4
    """Seconds of load in each turn of a round."""
    import_rows: int = 200_000
    import_rounds: int = 3
    updates: int = 200
    walks: int = 200
    """Times that all parts of a thing are asked for."""
    recursive: int = 1000
    """Identifiers of another node that are asked for."""
    log_lines: int = 1_000_000
    """Lines of the audit log in its tree."""
    proofs: int = 1000
    """Inclusion proofs that are asked for."""


QUICK = Plan(
    identifiers=20_000,
    unasked=100_000,
    handle_identifiers=10_000,
    dns_identifiers=5_000,
    cache_bytes=256 * 2**20,
    rounds=2,
    seconds=1,
    import_rows=10_000,
    import_rounds=2,
    updates=20,
    walks=20,
    recursive=100,
    log_lines=20_000,
    proofs=100,
)
"""For trying it out: the figures mean little."""

READ_CONNECTIONS = 64
WRITE_CONNECTIONS = 32
UDP_WINDOW = 256
"""Requests under way at once over UDP."""
NODE_PREFIX = "88.118"
KNOWN = f"{NODE_PREFIX}.1"
"""Prefix of the identifiers that are cached."""
UNASKED = f"{NODE_PREFIX}.2"
"""Prefix of those that nobody has asked for."""
WRITTEN = f"{NODE_PREFIX}.3"
"""Prefix under which identifiers are registered and imported during the run."""
