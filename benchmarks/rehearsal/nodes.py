"""The parts of a rehearsal: the stub of the top-level node and nodes, started, hurt and healed."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.rehearsal import ground
from benchmarks.rehearsal.ground import Place
from benchmarks.servers import ROOT

HTTP_PORT, ADMIN_PORT, HANDLE_PORT = 8000, 8001, 2641
TOP_PORT, TOP_HTTPS_PORT, TOP_HANDLE_PORT = 8100, 8101, 2642
START_SECONDS, STOP_SECONDS, COMMAND_SECONDS = 120.0, 30.0, 60.0


class RehearsalError(Exception):
    """A part did not do what the rehearsal stands on; the message says which and what."""


@dataclass
class Part:
    """A program of `idnode` at its place. settings: without IDNODE_, in lower case."""

    name: str
    program: str
    place: Place
    directory: Path
    settings: dict[str, object]
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What its processes and commands find in their environment."""
        others = {name: v for name, v in os.environ.items() if not name.startswith("IDNODE_")}
        given = {
            "bind": self.place.address,
            "data_dir": self.directory,
            "bootstrap_token": self.token,
            "log_level": "info",
            **self.settings,
        }
        named = {f"IDNODE_{name.upper()}": str(value) for name, value in given.items()}
        return {**others, **named, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}

    def start(self) -> None:
        """Start it; `wait` waits until it is ready."""
        self.directory.mkdir(exist_ok=True)
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self._idnode, self.program, "--lifeline"],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    @property
    def _idnode(self) -> list[str]:
        return [*self.place.command, sys.executable, "-P", "-m", "admin.cli"]

    @property
    def _ready_url(self) -> str:
        if self.program == "toplevel":
            return f"http://{self.place.address}:{TOP_PORT}/healthz"
        return f"http://{self.place.address}:{ADMIN_PORT}/readyz"

    def wait(self) -> None:
        """Wait until it is ready. Raises RehearsalError."""
        end = time.monotonic() + START_SECONDS
        while not self._ready():
            assert self.process is not None
            if self.process.poll() is not None or time.monotonic() > end:
                said = (self.directory / "log").read_text()[-2000:]
                raise RehearsalError(f"{self.name} did not become ready: {said}")
            time.sleep(0.1)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(self._ready_url, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def command(self, *arguments: str) -> dict[str, Any]:
        """Run a command of `idnode` at its place, and return what it says in JSON."""
        done = subprocess.run(
            [*self._idnode, *arguments, "--json"],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise RehearsalError(f"{self.name}: idnode {arguments[0]}: {done.stderr}")
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Ask its registry as its operator. Raises RehearsalError for any refusal."""
        request = urllib.request.Request(
            f"http://{self.place.address}:{HTTP_PORT}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=COMMAND_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RehearsalError(
                f"{self.name}: {method} {path}: {error.code} {error.read().decode()}"
            ) from None

    def stop(self) -> None:
        """End it in order, and by force what does not end."""
        if self.process is None or self.process.poll() is not None:
            return
        self.resume()
        self.process.terminate()
        try:
            self.process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL to all its processes."""
        self._signal(signal.SIGKILL)
        if self.process is not None:
            self.process.communicate()

    def pause(self) -> None:
        """SIGSTOP to all its processes: it takes connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT to all its processes."""
        self._signal(signal.SIGCONT)

    def cut(self) -> None:
        """Take it off the network; where it has none of its own, pause it."""
        ground.cut(self.place) if self.place.cable else self.pause()

    def join(self) -> None:
        """Undo a cut."""
        ground.mend(self.place) if self.place.cable else self.resume()

    def _signal(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.process.pid)
            # The parent first: it shall not start again what is ended.
            for process in (parent, *parent.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
