"""wrk, which makes the load, and what it says."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.machine import cpu_seconds

_LUA = Path(__file__).parent / "lua"
_START_SECONDS = 60  # what a script may take to make its requests before the run


class LoadError(Exception):
    """The load could not be made, or was answered with errors: the figure would mean nothing."""


class _Summary(msgspec.Struct, frozen=True):
    requests: int
    microseconds: int
    bytes: int
    broken: int
    refused: int
    p50: int
    p99: int


@dataclass(frozen=True)
class Run:
    """One run against one server.

    seconds: of wall clock; cpu: seconds of CPU that the server used; p50, p99: milliseconds.
    """

    requests: int
    seconds: float
    cpu: float
    bytes: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def per_cpu(self) -> float:
        """Requests for each second of server CPU."""
        return self.requests / self.cpu


@dataclass(frozen=True)
class Generator:
    """A wrk command: script with its arguments, connections, seconds of load."""

    script: str
    arguments: Sequence[object]
    connections: int
    seconds: int

    def against(self, port: int, pids: list[int]) -> Run:
        """Load the server on `port`, whose processes are `pids`. Raises LoadError."""
        before = cpu_seconds(pids)
        summary = self._run(port)
        cpu = cpu_seconds(pids) - before
        if summary.broken or summary.refused or not summary.requests:
            raise LoadError(
                f"{self.script} {self.arguments[0]}: of {summary.requests} requests "
                f"{summary.refused} were refused, {summary.broken} broke off"
            )
        seconds = summary.microseconds / 1e6
        p50, p99 = summary.p50 / 1e3, summary.p99 / 1e3
        return Run(summary.requests, seconds, cpu, summary.bytes, p50, p99)

    def _run(self, port: int) -> _Summary:
        command = [
            "wrk",
            "--threads=1",
            f"--connections={self.connections}",
            f"--duration={self.seconds}s",
            "--timeout=10s",
            f"--script={self.script}",
            f"http://127.0.0.1:{port}/",
            "--",
            *map(str, self.arguments),
        ]
        result = subprocess.run(
            command,
            cwd=_LUA,
            capture_output=True,
            text=True,
            timeout=self.seconds + _START_SECONDS,
            check=False,
        )
        lines = result.stdout.splitlines()
        if result.returncode or not lines or not lines[-1].startswith("{"):
            raise LoadError(f"wrk: {result.stderr.strip() or result.stdout.strip()}")
        return msgspec.json.decode(lines[-1], type=_Summary)
