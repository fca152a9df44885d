"""A node and the stub of the top-level node as they are run: enrol, file, rotate, revoke."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.e2e.node import DEADLINE, command, environment, eventually, free_port, serve

LIFE_SECONDS = 60


@dataclass
class Toplevel:
    directory: Path
    settings: dict[str, Any]

    def run(self, *arguments: str) -> Any:
        done = command("toplevel", *arguments, "--json", cwd=self.directory, **self.settings)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def get(self, path: str) -> Any:
        url = f"http://127.0.0.1:{self.settings['toplevel_port']}{path}"
        with urllib.request.urlopen(url, timeout=20) as reply:
            return json.loads(reply.read())

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.settings['toplevel_https_port']}"


@contextlib.contextmanager
def toplevel(directory: Path) -> Iterator[Toplevel]:
    """Run `idnode toplevel` for the length of the block; --lifeline ends it with the tests."""
    settings = {
        "data_dir": directory / "top",
        "toplevel_port": free_port(),
        "toplevel_https_port": free_port(),
        "toplevel_handle_port": free_port(),
        "toplevel_certificate_seconds": LIFE_SECONDS,
    }
    log = directory / "toplevel.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "admin.cli", "toplevel", "--lifeline"],
            cwd=directory,
            env=environment(**settings),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
        )
    stub = Toplevel(directory, settings)

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError):
            return bool(stub.get("/healthz") == {"status": "ok"})
        return False

    try:
        eventually(ready, "the stub becomes ready")
        yield stub
    finally:
        process.terminate()
        process.wait(DEADLINE)
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.timeout(300)
def test_node_is_enrolled_files_rotates_and_is_revoked(directory: Path) -> None:
    with toplevel(directory) as stub:
        token = stub.run("invite", "--prefix", "88.118")["token"]
        given = {"data_dir": directory / "var", "cwd": directory}
        refused = command("enrol", "--url", stub.url, "--token", "x" + token, **given)
        assert refused.returncode == 1
        assert "token" in refused.stderr
        enrolled = command("enrol", "--url", stub.url, "--token", token, "--json", **given)
        assert enrolled.returncode == 0, enrolled.stderr
        first = json.loads(enrolled.stdout)["serial"]
        own = directory / "var" / "uplink" / "node.pem"

        def serial() -> str:
            return f"{x509.load_pem_x509_certificate(own.read_bytes()).serial_number:x}"

        assert serial() == first
        with serve(directory, toplevel_url=stub.url, handle_port=free_port()) as node:
            prefix = node.register([])
            filed = eventually(
                lambda: stub.get("/filings")["items"], "the prefix is filed over TLS"
            )
            assert [one["prefix"] for one in filed] == [prefix]
            eventually(
                lambda: [
                    one
                    for one in stub.get("/nodes")["items"]
                    if one["health"] is not None and one["health"]["ready"]
                ],
                "the heartbeat tells that the node is ready",
            )
            answer = command(
                "resolve",
                f"0.NA/{prefix}",
                "--tcp",
                "--host",
                "127.0.0.1",
                "--port",
                str(stub.settings["toplevel_handle_port"]),
                "--json",
                cwd=directory,
            )
            assert "HS_SITE" in answer.stdout, "the top-level node does not lead to the node"
            eventually(lambda: serial() != first, "the node renews its certificate by itself")
            stub.run("fault", "down", "--at", "heartbeats", "--count", "1")
            assert stub.run("revoke", "--prefix", "88.118")["certificates"] >= 1
            node.call("POST", f"/api/v1/prefixes/{prefix}/suspend", {"reason": "rehearsal"})
            eventually(
                lambda: [
                    line for line in node.events("message_failed") if "revoked" in line["error"]
                ],
                "a revoked node is refused, and told so",
            )
            assert stub.get(f"/filings/{prefix}")["status"] == "active"
