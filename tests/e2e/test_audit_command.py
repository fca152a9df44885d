"""What an authority does: it keeps heads and proofs, and checks them without trusting the node."""

from __future__ import annotations

import base64
import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.e2e.node import Node, command, eventually, free_port, serve


def covered(node: Node, name: str) -> dict[str, Any]:
    """Wait until a head covers what was registered; return the proof."""

    def proof() -> dict[str, Any] | None:
        answer = node.get(f"/api/v1/identifiers/{name}/proof")
        body = answer.json
        done = answer.status == 200 and body["items"] and not body["waiting"]
        return dict(body) if done else None

    found: dict[str, Any] = eventually(proof, "a signed head covers each line")
    return found


def test_proofs_and_heads_are_checked_with_nothing_but_the_key(
    directory: Path, database_url: str
) -> None:
    with serve(directory, database_url=database_url) as node:
        prefix = node.register(["SN-1"])
        proof = covered(node, f"{prefix}/SN-1")
        url = f"http://127.0.0.1:{node.http_port}/api/v1/log/head"
        with urllib.request.urlopen(url, timeout=10) as reply:  # without a token
            head = json.loads(reply.read())
    assert (directory / "var" / "log-key.pem").stat().st_mode & 0o777 == 0o600
    printed = command("audit", "key", cwd=directory)
    assert printed.stdout == head["public_key"]

    (directory / "log.pem").write_text(printed.stdout)
    (directory / "head.json").write_text(json.dumps(head))
    _check_proof(directory, proof)
    _check_database(directory, database_url)


def _check_proof(directory: Path, proof: dict[str, Any]) -> None:
    arguments = ("audit", "verify", "--proof", "proof.json", "--key", "log.pem")
    file = directory / "proof.json"
    nowhere = f"postgresql://127.0.0.1:{free_port()}/none"

    def run(altered: dict[str, Any], *more: str) -> Any:
        file.write_text(json.dumps(altered))
        return command(*arguments, *more, cwd=directory, database_url=nowhere)

    good = run(proof, "--json")
    assert good.returncode == 0, good.stderr
    said = json.loads(good.stdout)
    assert said["valid"]
    assert said["lines"][0]["subject"] == proof["handle"]
    assert "are in the log as it was signed" in run(proof).stdout

    (item,) = proof["items"]
    line = item["leaf_input"].replace("identifier.put", "identifier.get")
    other = base64.b64encode(bytes(32)).decode()
    for wrong in (
        {**proof, "items": [{**item, "leaf_input": line}]},
        {**proof, "items": [{**item, "leaf_index": item["leaf_index"] + 1}]},
        {**proof, "items": [{**item, "inclusion_path": item["inclusion_path"][1:]}]},
        {**proof, "head": {**proof["head"], "timestamp": proof["head"]["timestamp"] + 1}},
        {**proof, "head": {**proof["head"], "root_hash": other}},
    ):
        bad = run(wrong, "--json")
        assert (bad.returncode, json.loads(bad.stdout)["valid"]) == (1, False)
    assert run({"handle": "x"}).returncode == 1
    stranger = directory / "other.pem"
    stranger.write_text("no key")
    assert command(*arguments[:4], "--key", "other.pem", cwd=directory).returncode == 1
    assert command(*arguments[:4], cwd=directory).returncode == 2


def _check_database(directory: Path, database_url: str) -> None:
    settings = {"database_url": database_url}
    arguments = ("audit", "verify", "--key", "log.pem", "--since", "head.json")
    whole = command(*arguments, "--json", cwd=directory, **settings)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    report = json.loads(whole.stdout)
    assert report["whole"]
    assert report["entries"] >= report["signed"] > 0
    assert "whole:" in command("audit", "verify", cwd=directory, **settings).stdout


async def test_a_line_that_was_deleted_is_named_with_exit_code_1(
    directory: Path, database_url: str
) -> None:
    with serve(directory, database_url=database_url) as node:
        prefix = node.register(["SN-1"])
        line = json.loads(covered(node, f"{prefix}/SN-1")["items"][0]["leaf_input"])
        sql = await asyncpg.connect(database_url)
        await sql.execute("SET session_replication_role = replica")
        await sql.execute("DELETE FROM audit_log WHERE seq = $1", line["seq"])
        await sql.close()
    for language, words in (("C.UTF-8", "was deleted"), ("zh_CN.UTF-8", "被删除")):
        told = command(
            "audit", "verify", cwd=directory, database_url=database_url, language=language
        )
        assert told.returncode == 1
        assert re.search(rf"\b{line['seq']}\b.*{words}", told.stdout), told.stdout


@pytest.mark.parametrize("text", [None, "no key"])
def test_a_key_that_cannot_be_used_stops_the_start(directory: Path, text: str | None) -> None:
    file = directory / "own.pem"
    if text is not None:
        file.write_text(text)
    ended = command(
        "serve",
        cwd=directory,
        http_port=free_port(),
        admin_port=free_port(),
        log_key=file,
    )
    assert ended.returncode == 1
    assert "log_key" in ended.stderr
    assert "own.pem" in ended.stderr
    assert "Traceback" not in ended.stderr
