"""The benchmarks run from end to end and report every row. Their figures are not judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FILES = {"import", "import_checked", "export", "export_memory"}
LOG = {"sequenced", "proof"}
ESCROW = {"escrow", "restore"}
ALWAYS = (
    {"memory_resident", "memory_counted", "update_seen", "second_start", "parts"}
    | FILES
    | LOG
    | ESCROW
)
PEERS = {"nginx", "nginx_memory", "aiohttp", "aiohttp_uvloop"}
COMPARED = {f"cached_{choice}_{peer}" for choice in ("uniform", "zipf") for peer in PEERS}
ECHOES = {"udp_echo_batched", "udp_echo", "tcp_echo"}
HANDLE = ECHOES | {"handle_udp"} | {f"handle_{echo}" for echo in ECHOES}
BY_WRK = {"miss", "registration", "registration_p99", "counting"}
BATCHES = {"batch", "batch_checked"}
DNS = {"knot_naptr", "dns_naptr"}
RECURSION = {"recursion"}
EXPECTED = ALWAYS | PEERS | COMPARED | HANDLE | BY_WRK | BATCHES | DNS | RECURSION


@pytest.mark.timeout(300)
def test_report_has_every_row(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--no-install"]
    result = subprocess.run(
        [*command, "--output", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]

    report = json.loads((tmp_path / "latest.json").read_bytes())
    rows = {row["key"]: row for row in report["rows"]}
    assert sorted(row["key"] for row in report["rows"]) == sorted(EXPECTED)
    for key, row in rows.items():
        if row["figure"] is None:
            assert key not in ALWAYS, f"{key} was not measured: {row['note']}"
            assert "is not installed" in row["note"], f"{key} does not say why"
        else:
            assert row["figure"] > 0, f"{key} measured nothing"
    table = (tmp_path / "latest.md").read_text()
    assert all(f"| {row['name']} |" in table for row in rows.values())
    assert {"cpu", "kernel", "python", "postgres", "nginx", "wrk"} <= set(report["machine"])


def test_unknown_option_is_wrong_usage() -> None:
    command = [sys.executable, "-m", "benchmarks", "--fast"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "--fast" in result.stderr
