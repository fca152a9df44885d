"""The C programs of benchmarks/c: echo servers, and what makes load in the Handle protocol."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.load import LoadError, Run
from benchmarks.machine import cpu_seconds, find
from benchmarks.servers import Server, free_port, listens, running

_SOURCES = Path(__file__).parent / "c"
_PROGRAMS = ("udp_echo", "tcp_echo", "handle_load")
_COMPILE_SECONDS = 60
_PATIENCE_SECONDS = 120
_MOST_LOST = 0.001
"""Share of the requests over UDP that may stay without an answer."""


def compile_all(directory: Path) -> None:
    """Compile the programs into a directory. Raises LoadError with what the compiler said."""
    directory.mkdir()
    for program in _PROGRAMS:
        command = ["gcc", "-O2", "-std=gnu11", "-o", str(directory / program)]
        result = subprocess.run(
            [*command, str(_SOURCES / f"{program}.c")],
            capture_output=True,
            text=True,
            timeout=_COMPILE_SECONDS,
            check=False,
        )
        if result.returncode:
            raise LoadError(f"gcc: {result.stderr.strip()}")


@contextlib.contextmanager
def udp_echo(directory: Path, core: int, *, batch: int) -> Iterator[Server]:
    """Run the UDP echo, which takes and sends `batch` datagrams with one system call."""
    port = free_port()
    command = [str(directory / "udp_echo"), str(port), str(batch)]
    log = directory / f"udp_echo_{batch}.log"
    with running(command, port, core, log, ready=_echoes) as server:
        yield server


@contextlib.contextmanager
def tcp_echo(directory: Path, core: int) -> Iterator[Server]:
    """Run the TCP echo."""
    port = free_port()
    command = [str(directory / "tcp_echo"), str(port)]
    with running(command, port, core, directory / "tcp_echo.log", ready=listens) as server:
        yield server


def _echoes(port: int) -> bool:
    with socket.socket(type=socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.1)
        try:
            asking.connect(("127.0.0.1", port))
            asking.send(b"?")
            return asking.recv(1) == b"?"
        except OSError:
            return False


class _Summary(msgspec.Struct, frozen=True):
    answers: int
    wrong: int
    lost: int
    microseconds: int
    bytes: int
    p50: int
    p99: int


@dataclass(frozen=True)
class HandleLoad:
    """A handle_load command.

    transport: udp or tcp. request, answer: patterns, as the program takes them. identifiers: how
    many there are to draw from. window: requests under way at once.
    """

    directory: Path
    transport: str
    request: bytes
    answer: bytes
    identifiers: int
    window: int

    def against(self, server: Server, *, seed: int, seconds: int) -> Run:
        """Load a server for so many seconds. Raises LoadError; a wrong answer is one."""
        if not seed:
            raise ValueError("seed 0 draws nothing")
        return self._run(server, seed, seconds)

    def ask_each(self, server: Server) -> None:
        """Ask once for every identifier. Raises LoadError unless all answers are right."""
        run = self._run(server, 0, _PATIENCE_SECONDS)
        if run.requests != self.identifiers:
            raise LoadError(f"{run.requests} of {self.identifiers} identifiers were answered")

    def _run(self, server: Server, seed: int, seconds: int) -> Run:
        before = cpu_seconds(server.pids)
        summary = self._summary(server.port, seed, seconds)
        cpu = cpu_seconds(server.pids) - before
        asked = summary.answers + summary.lost
        if summary.wrong or not summary.answers or summary.lost > _MOST_LOST * asked:
            raise LoadError(
                f"handle_load {self.transport}: of {asked} requests {summary.wrong} were answered "
                f"wrongly, {summary.lost} not at all"
            )
        return Run(
            summary.answers,
            summary.microseconds / 1e6,
            cpu,
            summary.bytes,
            summary.p50 / 1e3,
            summary.p99 / 1e3,
        )

    def _summary(self, port: int, seed: int, seconds: int) -> _Summary:
        files = [self.directory / f"{self.transport}.{name}" for name in ("request", "answer")]
        for file, pattern in zip(files, (self.request, self.answer), strict=True):
            file.write_bytes(pattern)
        numbers = (port, *files, self.identifiers, seed, seconds, self.window)
        result = subprocess.run(
            [str(self.directory / "handle_load"), self.transport, *map(str, numbers)],
            capture_output=True,
            text=True,
            timeout=seconds + _PATIENCE_SECONDS,
            check=False,
        )
        if result.returncode:
            raise LoadError(f"handle_load: {result.stderr.strip()}")
        return msgspec.json.decode(result.stdout, type=_Summary)


def missing() -> str | None:
    """Return why the programs cannot be compiled, None if they can."""
    return None if find("gcc") else "gcc is not installed (Debian: apt-get install gcc libc6-dev)"
