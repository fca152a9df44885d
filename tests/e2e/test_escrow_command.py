"""A node is lost, and another one made of its escrow answers as it did."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import with_database
from tests.e2e.node import command, serve


@pytest.mark.timeout(180)
async def test_a_node_made_of_an_escrow_answers_as_the_lost_one_did(
    directory: Path, database_url: str, postgres_url: str
) -> None:
    steps = str(directory / "escrow")
    names = [f"SN-{number}" for number in range(8)]
    with serve(directory, database_url=database_url) as node:
        prefix = node.register(names[:6])
        first = command("escrow", "take", steps, "--json", cwd=directory, database_url=database_url)
        assert first.returncode == 0, first.stderr
        for name in names[6:]:
            assert node.put(prefix, name).status == 201
        second = command("escrow", "take", steps, cwd=directory, database_url=database_url)
        assert "increment" in second.stdout, second.stderr
        answers = [node.ask(f"{prefix}/{name}").body for name in names]
    listed = json.loads(command("escrow", "list", steps, "--json", cwd=directory).stdout)
    assert [step["number"] for step in listed] == [0, 1]
    assert listed[0]["digest"] == json.loads(first.stdout)["digest"] == listed[1]["previous"]
    public = command("audit", "key", cwd=directory).stdout

    name = f"t_{uuid.uuid4().hex[:12]}"
    admin = await asyncpg.connect(postgres_url)
    await admin.execute(f"CREATE DATABASE {name}")
    try:
        other = directory / "other"
        other.mkdir()
        (other / "log.pem").write_text(public)
        url = with_database(postgres_url, name)
        keyless = command("restore", steps, cwd=other, database_url=url)
        assert keyless.returncode == 2, "it was restored without any key to hold it to"
        done = command("restore", steps, "--key", "log.pem", cwd=other, database_url=url)
        assert done.returncode == 0, done.stderr
        again = command("restore", steps, "--key", "log.pem", cwd=other, database_url=url)
        assert again.returncode == 1
        assert "the database is not empty" in again.stderr
        with serve(other, database_url=url) as node:
            assert [node.ask(f"{prefix}/{name}").body for name in names] == answers
        verified = command("audit", "verify", "--key", "log.pem", cwd=other, database_url=url)
        assert verified.returncode == 1, "the new node signs with a key of its own"
        assert "another key" in verified.stdout
    finally:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()
