"""A node as its users run it: `idnode serve`, real processes on free ports."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[2]
TOKEN = "e2e-operator-token-0123456789"
DEADLINE = 60.0


def eventually(holds: Callable[[], Any], promise: str, seconds: float = DEADLINE) -> Any:
    """Wait until `holds()` is true and return it; fail naming the promise."""
    end = time.monotonic() + seconds
    while True:
        result = holds()
        if result:
            return result
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {promise}"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Node:
    """A running `idnode serve`."""

    data_dir: Path
    http_port: int
    admin_port: int
    process: subprocess.Popen[bytes]
    log: Path
    seen: set[psutil.Process] = field(default_factory=set)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        admin: bool = False,
        token: str | None = TOKEN,
        content_type: str = "application/json",
    ) -> Answer:
        """One request on a connection of its own, as the first operator if no token is given.

        A body of bytes is sent as it is.
        """
        port = self.admin_port if admin else self.http_port
        headers = {"Content-Type": content_type}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(f"http://127.0.0.1:{port}{path}", data, headers, method=method)
        try:
            with urlopen(request, timeout=20) as reply:
                return Answer(reply.status, reply.headers, reply.read())
        except HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())

    def get(self, path: str) -> Answer:
        return self.call("GET", path)

    def ask(self, identifier: str) -> Answer:
        """Resolve an identifier as anybody does, without a token."""
        return self.call("GET", f"/api/handles/{identifier}", token=None)

    def admin(self, path: str) -> Answer:
        return self.call("GET", path, admin=True)

    def ready(self) -> bool:
        try:
            return self.admin("/readyz").status == 200
        except OSError:
            return False

    def wait_ready(self) -> None:
        def ready_or_ended() -> bool:
            assert self.process.poll() is None, f"idnode serve ended: {self.log.read_text()}"
            return self.ready()

        eventually(ready_or_ended, "the node becomes ready")

    def metric(self, name: str, **labels: str) -> float:
        families = text_string_to_metric_families(self.admin("/metrics").body.decode())
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def processes(self) -> list[psutil.Process]:
        """All processes of the node but the supervisor; remembered, to look for them later."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        self.seen.update(found)
        return found

    def named(self, word: str) -> list[psutil.Process]:
        """Processes with this word in their command line."""
        result = []
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                if any(word in part for part in process.cmdline()):
                    result.append(process)
        return result

    def events(self, name: str) -> list[dict[str, Any]]:
        """Lines of the log with this event."""
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line[:1] == "{")
        return [line for line in lines if line["event"] == name]

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(DEADLINE)

    def register(self, suffixes: list[str]) -> str:
        """Register an enterprise, a prefix and identifiers; return the prefix."""
        enterprise = self.call(
            "POST",
            "/api/v1/enterprises",
            {
                "name": "Pump Works",
                "credit_code": "91350211M000100Y46",
                "industry": "C3441",
                "contact": {"name": "Desk", "phone": "+86 592 5550100", "email": "a@pumps.example"},
            },
        )
        assert enterprise.status == 201, enterprise.body
        body = {"enterprise_id": enterprise.json["id"], "hosting": "hosted"}
        prefix: str = self.call("POST", "/api/v1/prefixes", body).json["prefix"]
        assert self.call("POST", f"/api/v1/prefixes/{prefix}/approve").status == 200
        for suffix in suffixes:
            assert self.put(prefix, suffix).status == 201
        return prefix

    def put(self, prefix: str, suffix: str) -> Answer:
        data = {"format": "string", "value": f"https://pumps.example/{suffix}"}
        body = {"values": [{"index": 1, "type": "URL", "data": data}]}
        return self.call("PUT", f"/api/v1/identifiers/{prefix}/{suffix}", body)


def environment(*, language: str = "C.UTF-8", **settings: object) -> dict[str, str]:
    """The environment of a command with these settings and no others."""
    others = {name: v for name, v in os.environ.items() if not name.startswith("IDNODE_")}
    settings = {"handle_port": 0, "dns_port": 0} | settings  # many nodes run side by side
    given = {f"IDNODE_{name.upper()}": str(value) for name, value in settings.items()}
    return {**others, "PYTHONPATH": str(ROOT), "LC_ALL": language, **given}


def command(*arguments: str, cwd: Path, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run `idnode ARGUMENTS` to its end."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "admin.cli", *arguments],
        cwd=cwd,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


@contextlib.contextmanager
def serve(directory: Path, **settings: Any) -> Iterator[Node]:
    """Run `idnode serve` for the length of the block.

    --lifeline ends it even if the tests are killed. It ends in order, or all of it is killed.
    """
    http_port, admin_port = free_port(), free_port()
    data_dir = directory / "var"
    log = directory / "serve.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "admin.cli", "serve", "--lifeline"],
            cwd=directory,
            env=environment(
                **{
                    "data_dir": data_dir,
                    "http_port": http_port,
                    "admin_port": admin_port,
                    "workers": 1,
                    "bootstrap_token": TOKEN,
                    **settings,
                }
            ),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
        )
    node = Node(data_dir, http_port, admin_port, process, log)
    try:
        node.wait_ready()
        yield node
    finally:
        _end(node)


def _end(node: Node) -> None:
    node.process.terminate()
    try:
        node.process.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        for process in node.processes():
            process.kill()
        node.process.kill()
        node.process.wait()
        raise
    finally:
        assert node.process.stdin is not None
        node.process.stdin.close()
