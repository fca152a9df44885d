"""`idnode resolve` against a running node, over each transport, with and without --trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.node import Node, command, free_port, serve

TRANSPORTS = ("udp", "tcp", "http")


@pytest.fixture
def node(directory: Path, database_url: str) -> Iterator[tuple[Node, dict[str, int]]]:
    ports = {"handle_port": free_port()}
    with serve(directory, database_url=database_url, **ports) as running:
        yield running, {**ports, "http_port": running.http_port}


def test_all_transports_say_the_same(directory: Path, node: tuple[Node, dict[str, int]]) -> None:
    running, ports = node
    prefix = running.register(["SN-1"])

    def resolve(*arguments: str, code: int = 0) -> Any:
        done = command("resolve", *arguments, "--json", cwd=directory, **ports)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    for transport in TRANSPORTS:
        found = resolve(f"{prefix}/sn-1", f"--{transport}")
        assert found["responseCode"] == 1
        assert found["handle"] == f"{prefix}/sn-1"
        assert found["values"][0]["data"]["value"] == "https://pumps.example/SN-1"
        assert resolve(f"{prefix}/none", f"--{transport}", code=1)["responseCode"] == 100
        chosen = resolve(f"{prefix}/sn-1", f"--{transport}", "--type", "url", "--index", "9")
        assert [value["index"] for value in chosen["values"]] == [1]
        lacking = resolve(f"{prefix}/sn-1", f"--{transport}", "--type", "EMAIL", code=1)
        assert lacking["responseCode"] == 200
    told = command("resolve", f"{prefix}/none", "--udp", cwd=directory, **ports)
    assert told.returncode == 1
    assert "100 HANDLE_NOT_FOUND" in told.stdout, "a failure has its code and its name"


def test_trace_shows_each_message_decoded(
    directory: Path, node: tuple[Node, dict[str, int]]
) -> None:
    running, ports = node
    prefix = running.register(["SN-1"])
    place = ("--host", "127.0.0.1", "--port", str(ports["handle_port"]))
    done = command("resolve", f"{prefix}/SN-1", "--tcp", "--trace", "--json", *place, cwd=directory)
    assert done.returncode == 0, done.stderr
    ask, sent, received = json.loads(done.stdout)["trace"]
    server = f"tcp://127.0.0.1:{ports['handle_port']}"
    assert 0 <= ask.pop("at") <= sent["at"] <= received["at"]
    assert ask == {"event": "ask", "server": server, "detail": f"for {prefix}/SN-1"}
    assert (sent["event"], received["event"]) == ("send", "receive")
    question, answer = sent["message"], received["message"]
    assert question["envelope"]["request_id"] == answer["envelope"]["request_id"]
    assert question["envelope"]["message_length"] == sent["bytes"] - 20
    assert question["header"]["response_code"] == "0 (request)"
    assert question["header"]["flags"] == ["RECURSIVE", "CACHE_CERTIFY", "PUBLIC_ONLY"]
    assert question["body"]["handle"] == f"{prefix}/SN-1"
    assert answer["envelope"]["version"] == "2.11"
    assert answer["header"]["op_code"] == "1 RESOLUTION"
    assert answer["header"]["response_code"] == "1 SUCCESS"
    assert answer["header"]["flags"][0] == "AUTHORITATIVE"
    assert answer["body"]["values"][0]["data"]["value"] == "https://pumps.example/SN-1"

    text = command("resolve", f"{prefix}/SN-1", "--udp", "--trace", cwd=directory, **ports)
    for part in ("--> send to", "<-- received from", "AUTHORITATIVE", "1 SUCCESS", "PUBLIC_ONLY"):
        assert part in text.stdout, text.stdout


def test_server_that_is_away_and_wrong_usage_have_their_exit_codes(directory: Path) -> None:
    port = str(free_port())
    for transport in TRANSPORTS:
        away = command(
            "resolve", "88.118.1/A", f"--{transport}", "--port", port, "--trace", cwd=directory
        )
        assert away.returncode == 1
        assert "does not answer" in away.stderr
        assert away.stdout.startswith("=== ask"), "what was tried is shown"
        assert "Traceback" not in away.stderr
    for wrong in (["--udp", "--url", "http://x.example"], ["--url", "x"], ["--index", "0"]):
        assert command("resolve", "88.118.1/A", *wrong, cwd=directory).returncode == 2, wrong
    assert command("resolve", "88.118.1/A", "--udp", cwd=directory).returncode == 2, "port 0"
