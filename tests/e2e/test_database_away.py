"""PostgreSQL stops answering: what is known is answered, the rest is refused, all comes back."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.e2e.node import TOKEN, Answer, Node, eventually, serve


@contextlib.contextmanager
def _paused(processes: list[psutil.Process]) -> Iterator[None]:
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)


def _refused(answer: Answer) -> bool:
    return answer.status == 503 and int(answer.headers["Retry-After"]) > 0


def _check_away(node: Node, prefix: str) -> None:
    known = eventually(
        lambda: _stale(node.ask(f"{prefix}/KNOWN")), "known answers are marked stale"
    )
    assert known.status == 200
    assert _refused(node.ask(f"{prefix}/UNASKED")), "503 with Retry-After"
    assert _refused(node.put(prefix, "NEW")), "a write is refused, with Retry-After"
    assert node.ask(f"{prefix}/KNOWN").status == 200
    assert node.admin("/healthz").status == 200
    assert node.admin("/").status == 200
    eventually(lambda: node.admin("/readyz").status == 503, "the node says that it is not ready")
    assert any("database" in reason for reason in node.admin("/readyz").json["reasons"])
    assert node.metric("idnode_database_up") == 0
    assert node.metric("idnode_cache_requests_total", outcome="stale") > 0


def _register_for_two_audiences(node: Node, prefix: str) -> None:
    """Register an identifier of which everybody sees one value, and its owner two."""
    values = [
        {"index": index, "type": "NOTE", "data": "x", "access": {"audience": audience}}
        for index, audience in ((1, "public"), (2, "private"))
    ]
    path = f"/api/v1/identifiers/{prefix}/HALF"
    assert node.call("PUT", path, {"values": values}).status == 201


def _indexes(answer: Answer) -> list[int]:
    assert answer.status == 200, answer.body
    return [one["index"] for one in answer.json["values"]]


def _check_away_for_who_says_who_it_is(node: Node, prefix: str) -> None:
    for path in ("/api/handles", "/resolve"):
        for token in (TOKEN, "nobody-has-this-token-0123456789"):
            answer = node.call("GET", f"{path}/{prefix}/HALF", token=token)
            assert _stale(answer), "whoever asks is told that it is from memory"
            assert answer.headers["Cache-Control"] == "no-store"
            assert _indexes(answer) == [1], "what is for everybody, and no more"
        assert _refused(node.get(f"{path}/{prefix}/UNASKED")), "503 with Retry-After"
    assert _refused(node.get(f"/api/handles/{prefix}/HALF?auth=true"))


def _stale(answer: Answer) -> Answer | None:
    return answer if "stale" in answer.headers.get("Cache-Status", "") else None


def _check_back(node: Node, prefix: str) -> None:
    eventually(node.ready, "the node is ready again")
    eventually(
        lambda: node.ask(f"{prefix}/UNASKED").status == 200,
        "what was not in memory is answered",
    )
    eventually(lambda: node.put(prefix, "LATER").status == 201, "writes are taken")
    assert node.ask(f"{prefix}/LATER").status == 200
    assert node.ask(f"{prefix}/NEW").status == 404, "a refused write left no trace"
    eventually(lambda: not _stale(node.ask(f"{prefix}/KNOWN")), "answers are fresh again")


def test_paused_postgres(directory: Path) -> None:
    with serve(directory) as node:
        prefix = node.register(["KNOWN", "UNASKED"])
        _register_for_two_audiences(node, prefix)
        # The prefix makes three lines in the change log, each identifier one. A line heard of
        # after the first answer would make the cache forget what it cannot read again.
        eventually(
            lambda: node.metric("idnode_feed_changes_total") >= 6,
            "the cache has heard of all that was registered",
        )
        assert node.ask(f"{prefix}/KNOWN").status == 200
        assert _indexes(node.get(f"/api/handles/{prefix}/HALF")) == [1, 2]
        assert _indexes(node.ask(f"{prefix}/HALF")) == [1]
        workers = {process.pid for process in node.named("admin.worker")}
        with _paused(node.named("postgres")):
            _check_away(node, prefix)
            _check_away_for_who_says_who_it_is(node, prefix)
        _check_back(node, prefix)
        assert _indexes(node.get(f"/api/handles/{prefix}/HALF")) == [1, 2]
        assert {process.pid for process in node.named("admin.worker")} == workers


def test_node_with_paused_postgres_can_be_stopped(directory: Path) -> None:
    with serve(directory, shutdown_seconds=3) as node:
        node.register(["A"])
        processes = node.named("postgres")
        with _paused([process for process in processes if process.ppid() == node.process.pid]):
            assert node.stop() == 0
        assert [process for process in node.seen if process.is_running()] == []
