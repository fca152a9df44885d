"""The peers, each a process of its own on the serving core: nginx, stock aiohttp, Knot DNS."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.message
import dns.query

from benchmarks.machine import find, pin, tree

ROOT = Path(__file__).parents[1]
"""The source tree that is measured."""

_START_SECONDS = 20
_STOP_SECONDS = 20
_INSTALL_SECONDS = 300

_PACKAGES = {"nginx": "nginx-light", "wrk": "wrk", "knotd": "knot", "dnsperf": "dnsperf"}

_NGINX = """\
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=16 inactive=1h;
    open_file_cache_valid 1h;
    keepalive_timeout 75s;
    keepalive_requests 1000000000;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        default_type "application/json;charset=UTF-8";
        location / {{
            {answer}
        }}
    }}
}}
"""


_KNOT = """\
server:
    rundir: {directory}
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {directory}
log:
  - target: stderr
    any: warning
zone:
  - domain: {zone}
    storage: {directory}
    file: records
    zonefile-load: whole
"""


class ServerError(Exception):
    """A server cannot be started, or did not end; the message says why."""


@dataclass(frozen=True)
class Server:
    """A server that runs.

    pids: the processes whose CPU counts as the server's.
    """

    port: int
    pids: list[int] = field(default_factory=list)


def free_port() -> int:
    """Return a TCP port on loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def wait_until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Return once `condition` holds. Raises ServerError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ServerError(f"{what}: not within {seconds:g} s")
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Whether a connection to `port` on loopback is taken."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def end(process: subprocess.Popen[bytes], seconds: float = _STOP_SECONDS) -> None:
    """Ask a process to end and wait for it. Raises ServerError if it had to be killed."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise ServerError(f"{process.args!r} did not end within {seconds:g} s") from None


@contextlib.contextmanager
def running(
    command: list[str],
    port: int,
    core: int,
    log: Path,
    *,
    ready: Callable[[int], bool] = listens,
) -> Iterator[Server]:
    """Run a server on one core until the end of the block. ready: whether its port answers."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        wait_until(lambda: process.poll() is not None or ready(port), command[0], _START_SECONDS)
        if process.poll() is not None:
            raise ServerError(f"{command[0]} ended at once: {log.read_text()[-500:]}")
        pin(process.pid, core)
        yield Server(port, [member.pid for member in tree(process.pid)])
    finally:
        end(process)


@contextlib.contextmanager
def nginx(directory: Path, body: bytes, core: int, *, in_memory: bool = False) -> Iterator[Server]:
    """Run nginx, one worker process, answering every request with `body`.

    The body is a file that nginx keeps open, or, `in_memory`, stands in its configuration.
    """
    port = free_port()
    directory.mkdir()
    file = directory / "static"
    file.write_bytes(body)
    answer = f"return 200 '{body.decode()}';" if in_memory else "try_files /static =500;"
    if not in_memory:
        answer = f"root {directory}; {answer}"
        readable(file)
    config = directory / "nginx.conf"
    config.write_text(_NGINX.format(directory=directory, port=port, answer=answer))
    command = [find("nginx") or "nginx", "-e", "stderr", "-p", str(directory), "-c", str(config)]
    with running(command, port, core, directory / "log") as server:
        yield server


@contextlib.contextmanager
def knot(directory: Path, zone: str, records: str, core: int) -> Iterator[Server]:
    """Run Knot DNS, one worker for UDP, with one zone."""
    port = free_port()
    directory.mkdir()
    (directory / "records").write_text(records)
    config = directory / "knot.conf"
    config.write_text(_KNOT.format(directory=directory, port=port, zone=zone))
    command = [find("knotd") or "knotd", "-c", str(config)]

    def ready(port: int) -> bool:
        return listens(port) and serves(zone, port)

    with running(command, port, core, directory / "log", ready=ready) as server:
        yield server


def serves(zone: str, port: int) -> bool:
    """Whether a DNS server on loopback answers for a zone."""
    try:
        answer = dns.query.udp(
            dns.message.make_query(zone, "SOA"), "127.0.0.1", timeout=1, port=port
        )
    except (OSError, dns.exception.DNSException):
        return False
    return bool(answer.answer)


def readable(file: Path) -> None:
    """Let the user that nginx's worker runs as, if started by root, reach a file of ours."""
    file.chmod(0o644)
    for parent in file.parents:
        mode = parent.stat().st_mode
        if parent.owner() == file.owner() and not mode & 0o001 and os.geteuid() == 0:
            parent.chmod(mode | 0o001)


@contextlib.contextmanager
def stock(directory: Path, body: bytes, core: int, *, loop: str) -> Iterator[Server]:
    """Run the stock aiohttp handler in a process of its own. loop: asyncio or uvloop."""
    port = free_port()
    directory.mkdir()
    file = directory / "body"
    file.write_bytes(body)
    command = [sys.executable, "-m", "benchmarks.stock", str(port), str(file), loop]
    with running(command, port, core, directory / "log") as server:
        yield server


def missing(tool: str) -> str | None:
    """Return why `tool` cannot be run, None if it can."""
    if find(tool):
        return None
    return f"{tool} is not installed (Debian: apt-get install {_PACKAGES[tool]})"


def install_tools() -> None:
    """Install what is missing of tools and peers where that can be done: on Debian, as root."""
    packages = [package for tool, package in _PACKAGES.items() if missing(tool)]
    if not packages or os.geteuid() != 0 or not find("apt-get"):
        return
    with contextlib.suppress(subprocess.TimeoutExpired):  # the report tells what is missing
        for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            subprocess.run(
                ["apt-get", "-q", *command],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
                timeout=_INSTALL_SECONDS,
                check=False,
            )
