"""The rehearsal in small: five nodes, and each way to lose one of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.node import ROOT


@pytest.mark.timeout(420)
def test_what_was_asked_for_before_is_answered_whatever_is_lost(tmp_path: Path) -> None:
    output = tmp_path / "lines.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.rehearsal", "--small", "--output", str(output)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    lines = json.loads(output.read_text())
    assert len(lines) == 9, "calm, seven losses, calm"
    for seen in (lines[0]["known"], lines[0]["fresh"], lines[-1]["fresh"]):
        assert seen["answered"] == seen["asked"] > 0, "in calm everything is answered, afresh"
    assert sum(line["known"]["stale"] for line in lines) > 0, "what is known is answered, stale"
    assert all(0 < line["recovery"] < 120 for line in lines[1:-1])
