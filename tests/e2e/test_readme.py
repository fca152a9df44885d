"""What README promises in two minutes comes true, word for word."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.node import ROOT, command, serve

MARK = "<!-- first success: a test runs this block as it stands -->"


def _first_success() -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(re.escape(MARK) + r"\n```sh\n(.*?)```", text, re.DOTALL)
    assert block, "README has its first success"
    return block[1]


def test_first_success_of_the_readme(directory: Path, database_url: str) -> None:
    with serve(directory, database_url=database_url, bootstrap_token="") as node:
        script = _first_success()
        for port, ours in ((8000, node.http_port), (8001, node.admin_port)):
            assert f"127.0.0.1:{port}" in script
            script = script.replace(f"127.0.0.1:{port}", f"127.0.0.1:{ours}")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=directory,
            env={**os.environ, "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert '"status":"pending"' in done.stdout
        assert '"status":"active"' in done.stdout
        assert "https://pumps.example/SN-0001" in done.stdout
        assert 'idnode_resolutions_total{result="found",transport="http"}' in done.stdout


def test_demo_twice_is_harmless_and_its_ten_addresses_answer(
    directory: Path, database_url: str
) -> None:
    with serve(directory, database_url=database_url, bootstrap_token="") as node:
        settings = {"data_dir": node.data_dir, "http_port": node.http_port}
        first = command("demo", cwd=directory, **settings)
        assert first.returncode == 0, first.stderr
        tries = first.stdout.split()
        assert len(tries) == 10
        tags = []
        for url in tries:
            path = url.partition(f":{node.http_port}")[2]
            assert node.get(path).status == 200, url
            tags.append(node.get(path).body)
        second = command("demo", cwd=directory, **settings)
        assert (second.returncode, second.stdout) == (0, first.stdout)
        assert [node.get(url.partition(f":{node.http_port}")[2]).body for url in tries] == tags
        assert node.metric("idnode_import_rows_total", outcome="done") == 20_000


def test_every_metric_of_the_handbook_is_exposed_and_the_other_way_round(
    directory: Path, database_url: str
) -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = text.partition("## Metrics")[2].partition("Alarms")[0]
    told = set(re.findall(r"\bidnode_[a-z_]+", table))
    with serve(directory, database_url=database_url) as node:
        families = text_string_to_metric_families(node.admin("/metrics").body.decode())
        exposed = {
            family.name + ("_total" if family.type == "counter" else "") for family in families
        }
    assert told == exposed
