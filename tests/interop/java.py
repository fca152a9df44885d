"""Programs in Java that drive unmodified clients: built with Maven, run, and their lines read."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
REQUIRED = os.environ.get("INTEROP") == "required"
"""Whether it is a failure that a client cannot be had, as in `make interop`."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

BUILD_SECONDS, RUN_SECONDS = 540, 100


@dataclass(frozen=True)
class Program:
    """A built program. versions: of its client and of the Java that runs it."""

    name: str
    class_path: str
    client: str

    def run(self, *arguments: str | Path) -> dict[str, dict[str, Any]]:
        """Run it to its end and return what it saw, by step."""
        done = subprocess.run(
            ["java", "-cp", self.class_path, self.name, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{self.name} came to its end: {done.stdout}{done.stderr}"
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return {line.pop("step"): line for line in lines}


def build(project: str, name: str, artifact: str, out: Path, *, optional: bool = False) -> Program:
    """Build tests/interop/`project`; skip with the reason where that cannot be done here.

    artifact: of the client, to tell its version from the name of its jar. optional: the client
    is not everywhere to be had, so even `make interop` does without it.
    """
    for tool in ("java", "javac", "mvn"):
        if shutil.which(tool) is None:
            cannot(f"{project}: no {tool} here", optional=optional)
    with _alone():
        _compile(project, out, optional=optional)
    (jar,) = (out / "dependency").glob(f"{artifact}-[0-9]*.jar")
    return Program(
        name, f"{out / 'classes'}{os.pathsep}{out / 'dependency'}{os.sep}*", client=jar.stem
    )


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Wait for others that use Maven: its local repository is not made for two at a time."""
    with (Path(tempfile.gettempdir()) / "idnode-interop-maven.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _compile(project: str, out: Path, *, optional: bool) -> None:
    command = ["mvn", "--quiet", "--batch-mode", f"-Dout={out}", "compile"]
    command += ["dependency:copy-dependencies", "-DincludeScope=runtime"]
    # What was downloaded before is used without asking the network.
    for mode in (["--offline"], []):
        made = subprocess.run(
            command + mode,
            cwd=HERE / project,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
        if made.returncode == 0:
            break
    else:
        words = _COLOUR.sub("", made.stdout).strip().partition("\n")[0]
        cannot(f"{project}: Maven cannot build it here: {words[:300]}", optional=optional)


def cannot(reason: str, *, optional: bool) -> None:
    if REQUIRED and not optional:
        pytest.fail(reason)
    pytest.skip(reason)
