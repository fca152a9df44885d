"""What README promises in two minutes comes true, word for word."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.node import ROOT, Answer, command, serve

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

        def ask(url: str) -> Answer:
            return node.call("GET", url.partition(f":{node.http_port}")[2], token=None)

        tags = []
        for url in tries:
            assert ask(url).status == 200, url
            tags.append(ask(url).body)
        second = command("demo", cwd=directory, **settings)
        assert (second.returncode, second.stdout) == (0, first.stdout)
        assert [ask(url).body for url in tries] == tags
        assert node.metric("idnode_import_rows_total", outcome="done") == 10_000


def test_the_demo_is_a_province_of_enterprises_and_of_goods_five_levels_deep(
    directory: Path, database_url: str
) -> None:
    with serve(directory, database_url=database_url, bootstrap_token="") as node:
        settings = {"data_dir": node.data_dir, "http_port": node.http_port}
        done = command("demo", "--json", cwd=directory, **settings)
        assert done.returncode == 0, done.stderr
        made = json.loads(done.stdout)
        token = (node.data_dir / "bootstrap-token").read_text().strip()

        def read(path: str) -> Any:
            answer = node.call("GET", path.partition(f":{node.http_port}")[2] or path, token=token)
            assert answer.status == 200, answer.body
            return answer.json

        enterprises = read("/api/v1/enterprises?limit=100")["items"]
        states = {"filed", "under_review", "approved", "rejected", "suspended", "closed"}
        assert {one["status"] for one in enterprises} == states
        assert all("示例" in one["name"] for one in enterprises), "each is plainly an example"
        assert len({one["industry"][:3] for one in enterprises}) > 4, "several industries"

        parts = read(f"{made['parts']}&limit=1000")["items"]
        assert len(parts) == 24
        assert max(part["depth"] for part in parts) == 5
        assert len({part["handle"].partition("/")[0] for part in parts}) == 6, "of six makers"
        counted = read("/api/v1/statistics/identifiers?by=enterprise")["items"]
        assert sum(one["identifiers"] for one in counted) >= made["identifiers"] + 1_000_000

        tea = made["prefixes"]["tea"]
        assert node.call("GET", f"/api/handles/{tea}/TEA-2026-0500000", token=None).status == 200, (
            "a number of a range"
        )
        first = made["try"][0].partition(f":{node.http_port}")[2]
        public = node.call("GET", first, token=None).json["values"]
        assert "PRICE" not in {value["type"] for value in public}, "prices are for partners"
        assert "PRICE" in {
            value["type"] for value in node.call("GET", first, token=token).json["values"]
        }


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
