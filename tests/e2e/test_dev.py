"""`make run`: a node and the stub above it, side by side, that know each other at once."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.node import DEADLINE, command, environment, eventually, free_port


@pytest.mark.timeout(240)
def test_both_start_find_each_other_and_stop_together(directory: Path) -> None:
    names = ("http", "admin", "handle", "toplevel", "toplevel_https", "toplevel_handle")
    ports = {f"{name}_port": free_port() for name in names}
    log = directory / "run.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "admin.dev"],
            cwd=directory,
            env=environment(data_dir=directory / "var", workers=1, dns_port=0, **ports),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def site_is_filed() -> bool:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError):
            url = f"http://127.0.0.1:{ports['toplevel_port']}/nodes"
            with urllib.request.urlopen(url, timeout=20) as reply:
                return any(one["site"] for one in json.loads(reply.read())["items"])
        return False

    try:
        eventually(lambda: "Ready after" in log.read_text(), "both are ready", 2 * DEADLINE)
        eventually(site_is_filed, "the node tells the stub where it is")
        answer = command(
            "resolve", "0.NA/88.118", "--udp", "--json", "--host", "127.0.0.1",
            "--port", str(ports["toplevel_handle_port"]), cwd=directory,
        )  # fmt: skip
        assert str(ports["handle_port"]) in answer.stdout, answer.stderr
    finally:
        process.send_signal(signal.SIGINT)
        ended = process.wait(DEADLINE)
    assert ended == 0, log.read_text()
