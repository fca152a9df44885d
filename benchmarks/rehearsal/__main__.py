"""`make rehearsal`: build the tower, play the script, print the table."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from admin.embedded import EmbeddedPostgres
from benchmarks.rehearsal.ground import Ground
from benchmarks.rehearsal.script import LEAST_SHARE, Line, play
from benchmarks.rehearsal.tower import SMALL, Size, build, plan

_HEADER = "| phase | asked | answered | stale | elsewhere | failed | new: answered | recovery |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rehearsal; return 0 if every phase was as promised."""
    options = _options(arguments)
    size = SMALL if options.small else Size()
    ground = Ground(loopback=options.loopback)
    with tempfile.TemporaryDirectory(prefix="idnode-rehearsal-") as name:
        directory = Path(name)
        directory.chmod(0o711)  # PostgreSQL may run as another user
        database = EmbeddedPostgres(directory / "postgres")
        try:
            lines = _rehearse(ground, directory, database.start(), size, options.seed)
        finally:
            database.stop()
            ground.close()
    if options.output is not None:
        options.output.write_bytes(msgspec.json.format(msgspec.json.encode(lines)) + b"\n")
    broken = [line.phase for line in lines if not line.holds]
    print("every phase as promised" if not broken else f"not as promised: {', '.join(broken)}")
    return 1 if broken else 0


def _rehearse(
    ground: Ground, directory: Path, database_url: str, size: Size, seed: int
) -> list[Line]:
    began = time.monotonic()
    tower = plan(ground, directory, database_url, size)
    try:
        build(tower, size)
        where = "network namespaces" if ground.isolated else "loopback addresses"
        print(
            f"{len(tower.parts)} nodes in {where}, ready after {time.monotonic() - began:.0f} s;"
            f" seed {seed}; promised: {LEAST_SHARE:.0%} of what was asked for before"
        )
        print(f"{_HEADER}\n|---|--:|--:|--:|--:|---|--:|--:|", flush=True)
        lines = []
        for line in play(tower, seed):
            print(_row(line), flush=True)
            lines.append(line)
        return lines
    finally:
        tower.close()


def _row(line: Line) -> str:
    known, fresh = line.known, line.fresh
    failed = ", ".join(f"{count} {why}" for why, count in known.failed.most_common()) or "0"
    recovery = "" if line.recovery is None else f"{line.recovery:.1f} s"
    cells = (
        line.phase,
        known.asked,
        known.answered,
        known.stale,
        known.elsewhere,
        failed,
        f"{fresh.answered} of {fresh.asked}",
        recovery,
    )
    return f"| {' | '.join(map(str, cells))} |"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make rehearsal", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the script")
    parser.add_argument("--small", action="store_true", help="two secondary nodes, two enterprises")
    parser.add_argument("--loopback", action="store_true", help="no network namespaces")
    parser.add_argument("--output", type=Path, help="file for the table in JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
