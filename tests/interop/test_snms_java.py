"""An application in Java, as the guide of the SNMS API has them written, against a running node."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.node import serve
from tests.interop import java

PROGRAM = Path(__file__).parent / "snms" / "SnmsApplication.java"
JAVA = ("java", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8")
USER, PASSWORD = "mes", "quiet heron 47 over the lock"


def _done(data: Any) -> dict[str, Any]:
    return {"message": "success", "status": 1, "data": data}


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that PostgreSQL's user can reach: pytest closes its own to everybody."""
    made = Path(tempfile.mkdtemp(prefix="idnode-snms-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


def test_an_application_in_java_works_with_both_its_http_clients(
    directory: Path, database_url: str
) -> None:
    if shutil.which("javac") is None:
        java.cannot("snms: no javac here", optional=False)
    with serve(directory, database_url=database_url) as node:
        prefix = node.register([])
        enterprise = node.get("/api/v1/enterprises").json["items"][0]["id"]
        body = {"name": USER, "password": PASSWORD, "hashed": True}
        made = node.call("POST", f"/api/v1/enterprises/{enterprise}/snms-users", body)
        assert made.status == 201, made.body
        address = f"http://127.0.0.1:{node.http_port}"
        ended = subprocess.run(
            [*JAVA, str(PROGRAM), address, USER, PASSWORD, prefix],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=java.RUN_SECONDS,
            check=False,
        )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    steps = {line["step"]: line["answer"] for line in map(json.loads, ended.stdout.splitlines())}
    token = steps.pop("token")
    assert token == _done({"token": token["data"]["token"]})
    handle, twice = f"{prefix}/泵-1", f"{prefix}/2"
    detail = steps.pop("detail")["data"]
    assert (detail["handle"], detail["templateVersion"]) == (handle, "java")
    assert [value["data"]["value"] for value in detail["value"]] == ["java", "齿轮泵"]
    assert steps == {
        "template": _done(True),
        "create": _done(True),
        "update": _done(True),
        "batch": _done(
            [{"handle": twice, "msg": "success"}, {"handle": twice, "msg": "标识已存在"}]
        ),
        "delete": _done(True),
        "batchDelete": _done([{"handle": twice, "code": 1, "msg": "success"}]),
    }
