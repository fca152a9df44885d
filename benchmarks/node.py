"""The node itself: `idnode serve` as its users start it, its processes on their cores."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.machine import Cores, pin
from benchmarks.plan import NODE_PREFIX
from benchmarks.servers import ROOT, Server, ServerError, end, free_port, wait_until

_START_SECONDS = 60
_STOP_SECONDS = 30


@dataclass(frozen=True)
class Node:
    """A node that is ready.

    server: its public port, and its workers, whose CPU counts as the server's.
    handle, dns: the same on the ports of the Handle protocol and of DNS.
    token: an operator's. seconds: from the start of the command until it was ready.
    """

    server: Server
    handle: Server
    dns: Server
    admin_port: int
    token: str
    seconds: float

    @property
    def workers(self) -> list[int]:
        """Process numbers of the workers."""
        return self.server.pids

    def metric(self, name: str, **labels: str) -> float:
        """Return a metric, added up over the labels that are not given. KeyError if unknown."""
        found = None
        for family in text_string_to_metric_families(_get(self.admin_port, "/metrics").decode()):
            for sample in family.samples:
                if (
                    sample.name in (name, f"{name}_total")
                    and labels.items() <= sample.labels.items()
                ):
                    found = (found or 0.0) + sample.value
        if found is None:
            raise KeyError(name)
        return found


@contextlib.contextmanager
def serve(
    directory: Path,
    cores: Cores,
    *,
    database_url: str | None = None,
    workers: int = 1,
    cache_bytes: int = 256 * 2**20,
    more: Mapping[str, str] | None = None,
) -> Iterator[Node]:
    """Run `idnode serve` until the end of the block.

    directory: its data; without a database_url its embedded PostgreSQL is there too. more: settings
    by name that differ from usual.
    Workers take the serving core, then the other, in turn; all else has the loading core.
    """
    directory.mkdir(exist_ok=True)
    port, handle_port, dns_port, admin_port = (free_port() for _ in range(4))
    token = secrets.token_urlsafe(24)
    settings = {
        "DATA_DIR": str(directory),
        "DATABASE_URL": database_url or "",
        "HTTP_PORT": str(port),
        "ADMIN_PORT": str(admin_port),
        "HANDLE_PORT": str(handle_port),
        "UDP_RESPONSES_PER_SECOND": "0",  # all the load comes from one address
        "UDP_BYTES_PER_SECOND": "0",
        "DNS_PORT": str(dns_port),
        "DNS_RESPONSES_PER_SECOND": "0",
        "WORKERS": str(workers),
        "PREFIX": NODE_PREFIX,
        "BOOTSTRAP_TOKEN": token,
        "CACHE_BYTES": str(cache_bytes),
        "LOG_LEVEL": "warning",
    }
    settings |= {name.upper(): value for name, value in (more or {}).items()}
    settings = {f"IDNODE_{name}": value for name, value in settings.items()}
    others = {name: v for name, v in os.environ.items() if not name.startswith("IDNODE_")}
    log = directory / "serve.log"
    with log.open("ab") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "admin.cli", "serve"],
            cwd=directory,  # away from the idnode.toml of whoever measures
            env={**others, **settings, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(
            lambda: process.poll() is not None or _ready(admin_port), "idnode serve", _START_SECONDS
        )
        if process.poll() is not None:
            raise ServerError(f"idnode serve ended at once: {log.read_text()[-2000:]}")
        seconds = time.monotonic() - started
        pids = _workers(process.pid)
        if len(pids) != workers:
            raise ServerError(f"{len(pids)} workers run, {workers} were asked for")
        for position, pid in enumerate(pids):
            pin(pid, (cores.serving, cores.loading)[position % 2])
        yield Node(
            Server(port, pids),
            Server(handle_port, pids),
            Server(dns_port, pids),
            admin_port,
            token,
            seconds,
        )
    finally:
        end(process, _STOP_SECONDS)


def _workers(pid: int) -> list[int]:
    children = psutil.Process(pid).children()
    return sorted(child.pid for child in children if "admin.worker" in child.cmdline())


def _ready(admin_port: int) -> bool:
    try:
        _get(admin_port, "/readyz")
    except (OSError, urllib.error.URLError):
        return False
    return True


def _get(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        body: bytes = answer.read()
    return body
