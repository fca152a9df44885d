"""The machine: its cores, what processes use of it, and how it calls itself."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Cores:
    """Where each side runs: all that serves on one core, all that makes load on another."""

    serving: int
    loading: int

    @property
    def apart(self) -> bool:
        """Whether the two sides have a core each."""
        return self.serving != self.loading


def choose_cores() -> Cores:
    """Take the first two cores this process may use; on a machine of one, both sides share it."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[min(1, len(allowed) - 1)])


def tree(pid: int) -> list[psutil.Process]:
    """Return the process and all that descend from it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def pin(pid: int, core: int) -> None:
    """Hold a process, its threads and its descendants on one core, and what they start later."""
    for process in tree(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            for task in Path(f"/proc/{process.pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), {core})


def cpu_seconds(pids: list[int]) -> float:
    """Seconds of CPU, user and system, that these processes have used since they began."""
    used = [psutil.Process(pid).cpu_times() for pid in pids]
    return sum(times.user + times.system for times in used)


def resident_bytes(pid: int) -> int:
    """Bytes of memory that the process holds (RSS)."""
    return int(psutil.Process(pid).memory_info().rss)


def find(tool: str) -> str | None:
    """Return the path of a program, also of one that is not for plain users; None if absent."""
    return shutil.which(tool, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def describe(postgres: Path, cores: Cores) -> dict[str, str]:
    """Say what this was measured on: hardware, kernel and the versions of all that took part."""
    return {
        "cpu": _cpu_model(),
        "cores": f"{os.cpu_count()}, serving on {cores.serving}, load from {cores.loading}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "aiohttp": version("aiohttp"),
        "uvloop": version("uvloop"),
        "postgres": _version([str(postgres), "--version"]),
        "nginx": _version([find("nginx") or "nginx", "-v"]),
        "wrk": _version(["wrk", "-v"]),
        "knot": _version([find("knotd") or "knotd", "--version"]),
        "dnsperf": _version(["dnsperf", "-h"]),
    }


def _cpu_model() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _version(command: list[str]) -> str:
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "not installed"
    found = re.search(r"\d+\.\d+(\.\d+)?", told.stdout + told.stderr)
    return found[0] if found else "unknown"
