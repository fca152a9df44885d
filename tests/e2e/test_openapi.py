"""A node answers as /openapi.json says, whatever is sent: thousands of requests made of it.

schemathesis makes them, right and wrong ones, the same in each run. No answer may be 5xx, of a
status or media type that is not documented there, or of another shape; without a bearer token none
may be 200 (the SNMS API alone tells in the body of its 200 what is refused).
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e import openapi_world
from tests.e2e.node import ROOT, Node, serve

SEED = 88118
SECONDS = 420
"""After which a run is given up; on an idle machine all of them together take 2 minutes."""
_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


@dataclass(frozen=True)
class Started:
    """A node with one of everything, and where its names and tokens stand."""

    node: Node
    world: Path
    credentials: dict[str, str | None]


@pytest.fixture(scope="module")
def started() -> Iterator[Started]:
    directory = Path(tempfile.mkdtemp(prefix="idnode-e2e-"))
    directory.chmod(0o711)  # PostgreSQL's user has to reach it
    try:
        with serve(directory) as node:
            world = openapi_world.make(node)
            file = directory / "world.json"
            file.write_text(json.dumps(dataclasses.asdict(world)))
            yield Started(node, file, world.credentials)
    finally:
        shutil.rmtree(directory)


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize(
    ("who", "phases", "examples", "where"),
    [
        ("nobody", "fuzzing", 2, "/"),
        ("auditor", "fuzzing", 2, "/api"),
        ("application", "fuzzing", 4, "/api"),
        ("administrator", "fuzzing", 4, "/api"),
        ("snms", "examples,coverage,fuzzing", 10, "/identity"),
        ("operator", "examples,coverage,fuzzing", 2, "/api"),
    ],
)
def test_answers_are_as_documented(
    started: Started, who: str, phases: str, examples: int, where: str
) -> None:
    checks = [*_CHECKS, "ignored_auth"] if where == "/api" else [*_CHECKS]
    token = started.credentials[who]
    identity = ["--header", f"Authorization: Bearer {token}"] if token else []
    options = {
        "checks": ",".join(checks),
        "include-path-regex": f"^{where}",
        "max-examples": examples,
        "phases": phases,
        "seed": SEED,
        "generation-database": "none",
        "suppress-health-check": "all",
        "warnings": "off",
        "request-timeout": 20,
    }
    ran = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            "run",
            f"http://127.0.0.1:{started.node.http_port}/openapi.json",
            *identity,
            *(f"--{name}={value}" for name, value in options.items()),
            "--no-color",
            "--no-shrink",
            "--continue-on-failure",
        ],
        cwd=started.world.parent,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.e2e.openapi_hooks",
            "IDNODE_WORLD": str(started.world),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, f"{who}: not as /openapi.json says\n{ran.stdout}"
    tested = re.search(r"Tested: (\d+)", ran.stdout)
    assert tested, ran.stdout
    paths = started.node.get("/openapi.json").json["paths"]
    operations = sum(len(methods) for path, methods in paths.items() if path.startswith(where))
    assert int(tested[1]) == operations, f"{who}: operations that were not tried\n{ran.stdout}"
