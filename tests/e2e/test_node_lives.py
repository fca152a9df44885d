"""A node goes on whatever of it dies, and leaves nothing behind when it ends."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import psutil

from tests.e2e.node import DEADLINE, TOKEN, Node, command, eventually, serve

ENTERPRISE = json.dumps(
    {
        "name": "Pump Works",
        "credit_code": "91350211M000100Y46",
        "industry": "C3441",
        "contact": {"name": "Desk", "phone": "+86 592 5550100", "email": "a@pumps.example"},
    }
).encode()


def test_killed_worker_is_replaced_and_counters_stay(directory: Path, database_url: str) -> None:
    with serve(directory, database_url=database_url, workers=2) as node:
        prefix = node.register(["A"])
        for _ in range(20):
            assert node.get(f"/api/handles/{prefix}/A").status == 200

        def answered() -> float:
            return node.metric("idnode_resolutions_total", transport="http", result="found")

        eventually(lambda: answered() == 20, "every answer is counted")
        eventually(lambda: node.metric("idnode_cache_entries") >= 1, "the cache is measured")
        before = {process.pid for process in node.named("admin.worker")}
        for pid in before:
            psutil.Process(pid).kill()
        eventually(
            lambda: len({process.pid for process in node.named("admin.worker")} - before) == 2,
            "killed workers are started again",
        )
        eventually(node.ready, "the node is ready again")
        assert answered() == 20, "counters of a dead worker stay"
        assert node.metric("idnode_cache_entries") == 0, "gauges of a dead worker do not"
        assert node.metric("idnode_process_restarts_total", process="worker") == 2
        assert node.get(f"/api/handles/{prefix}/A").status == 200


def test_terminated_node_leaves_no_process_behind(directory: Path) -> None:
    with serve(directory) as node:
        assert node.named("admin.worker")
        assert node.named("admin.jobs")
        assert node.named("postgres")
        assert node.stop() == 0
        left = [process for process in node.seen if process.is_running()]
        assert left == []
        assert node.events("process_killed") == [], "all ended by themselves"


def test_children_end_when_the_supervisor_is_killed_and_the_next_start_works(
    directory: Path,
) -> None:
    with serve(directory) as node:
        prefix = node.register(["A"])
        children = node.named("admin.")
        node.process.kill()
        node.process.wait()
        _, left = psutil.wait_procs(children, timeout=30)
        assert left == [], "workers and jobs notice that the supervisor is gone"
    with serve(directory) as node:
        assert node.get(f"/api/handles/{prefix}/A").status == 200
        assert node.events("postgres_leftover_stopped"), "the server left behind was replaced"


def test_killed_embedded_postgres_is_started_again(directory: Path) -> None:
    with serve(directory) as node:
        prefix = node.register(["A", "B"])
        assert node.get(f"/api/handles/{prefix}/A").status == 200
        (postmaster,) = [
            process for process in node.named("postgres") if process.ppid() == node.process.pid
        ]
        postmaster.kill()
        eventually(
            lambda: node.metric("idnode_process_restarts_total", process="postgres") == 1,
            "the death of PostgreSQL is noticed",
        )
        eventually(
            lambda: node.get(f"/api/handles/{prefix}/B").status == 200,
            "what is not in memory is answered again",
        )
        eventually(node.ready, "the node is ready again")
        assert node.put(prefix, "C").status == 201


@contextlib.contextmanager
def _asking(node: Node, path: str) -> Iterator[Counter[int]]:
    """Ask all the time, with a new connection each time, and count the answers by status.

    A connection that the kernel resets has no answer; the handbook says so.
    """
    statuses: Counter[int] = Counter()
    end = threading.Event()

    def ask() -> None:
        while not end.is_set():
            with contextlib.suppress(ConnectionError, URLError):
                statuses[node.get(path).status] += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield statuses
    finally:
        end.set()
        thread.join()


def test_hangup_replaces_the_workers_with_new_settings(directory: Path, database_url: str) -> None:
    (directory / "idnode.toml").write_text('log_level = "warning"\n')
    with serve(directory, database_url=database_url, workers=2) as node:
        prefix = node.register(["A"])
        before = {process.pid for process in node.named("admin.worker")}
        assert node.events("api_request") == []
        (warning,) = node.events("labels_lead_to_loopback")
        assert warning["public_url"] == f"http://127.0.0.1:{node.http_port}"
        (directory / "idnode.toml").write_text(
            'log_level = "info"\nprefix = "88.709"\npublic_url = "https://id.example.org"\n'
        )
        with _asking(node, f"/api/handles/{prefix}/A") as statuses:
            node.process.send_signal(signal.SIGHUP)
            eventually(
                lambda: (
                    len(node.events("worker_ready")) == 2
                    and not before & {process.pid for process in node.named("admin.worker")}
                ),
                "each worker makes way for a new one",
            )
        assert set(statuses) == {200}, "nobody notices"
        assert node.put(prefix, "B").status == 201
        eventually(lambda: node.events("api_request"), "the new log level holds")
        assert len(node.events("labels_lead_to_loopback")) == 1, "who has set it is not warned"
        (warning,) = node.events("settings_need_a_start")
        assert warning["settings"] == ["prefix"]
        (directory / "idnode.toml").write_text('log_level = "loud"\n')
        node.process.send_signal(signal.SIGHUP)
        (refused,) = eventually(
            lambda: node.events("settings_not_reloaded"), "a wrong setting is told"
        )
        assert "log_level" in refused["reason"]
        assert node.ready()
        assert node.metric("idnode_process_restarts_total", process="worker") == 0


def test_second_node_does_not_share_the_port_or_the_data(
    directory: Path, database_url: str
) -> None:
    with serve(directory, database_url=database_url) as node:
        other = directory / "other"
        other.mkdir()
        for setting, words in (
            ({"data_dir": node.data_dir, "http_port": 0, "admin_port": 0}, "another idnode runs"),
            ({"http_port": node.http_port, "admin_port": 0}, "IDNODE_HTTP_PORT"),
            ({"http_port": 0, "admin_port": node.admin_port}, "IDNODE_ADMIN_PORT"),
        ):
            ended = command("serve", cwd=other, database_url=database_url, **setting)
            assert ended.returncode == 1
            assert words in ended.stderr
            assert "Traceback" not in ended.stderr
        assert node.ready(), "the first node is not disturbed"


def test_wrong_setting_ends_the_start_with_one_line(directory: Path) -> None:
    for setting, words in (
        ({"http_port": 99999}, "IDNODE_HTTP_PORT"),
        ({"htpp_port": 8000}, "IDNODE_HTPP_PORT: no such setting"),
    ):
        ended = command("serve", cwd=directory, **setting)
        assert ended.returncode == 2
        (line,) = [line for line in ended.stderr.splitlines() if "IDNODE_" in line]
        assert words in line
    flag = command("serve", "--workers", "many", cwd=directory)
    assert flag.returncode == 2
    assert "--workers" in flag.stderr


def test_secrets_stay_out_of_logs_arguments_and_the_operator_port(
    directory: Path, database_url: str
) -> None:
    with serve(directory, database_url=database_url, log_level="debug") as node:
        node.register(["A"])
        shown = [node.log.read_text()]
        shown += [" ".join(process.cmdline()) for process in node.named("admin.")]
        shown += [node.admin(path).body.decode() for path in ("/", "/metrics", "/readyz")]
        assert [text for text in shown if TOKEN in text] == []


def test_bootstrap_token_is_made_once_and_for_the_owner_alone(
    directory: Path, database_url: str
) -> None:
    file = directory / "var" / "bootstrap-token"
    for _ in range(2):
        with serve(directory, database_url=database_url, bootstrap_token="") as node:
            assert file.stat().st_mode & 0o777 == 0o600
            token = file.read_text().strip()
            user = command(
                "demo",
                "--json",
                cwd=directory,
                data_dir=node.data_dir,
                http_port=node.http_port,
            )
            assert user.returncode == 0, user.stderr
            assert token not in node.log.read_text()


def _half_a_request(node: Node) -> socket.socket:
    """Open a registration whose body is still to come; return when the node works on it."""
    client = socket.create_connection(("127.0.0.1", node.http_port), timeout=30)
    head = (
        f"POST /api/v1/enterprises HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(ENTERPRISE)}\r\n"
        "Expect: 100-continue\r\n\r\n"
    )
    client.sendall(head.encode())
    assert client.recv(100).startswith(b"HTTP/1.1 100 ")
    return client


def test_request_under_way_is_finished_when_the_node_is_told_to_stop(
    directory: Path, database_url: str
) -> None:
    with serve(directory, database_url=database_url, shutdown_seconds=30) as node:
        with _half_a_request(node) as client:
            node.process.terminate()
            eventually(lambda: not _accepts(node), "no new connection is taken")
            client.sendall(ENTERPRISE)
            assert client.recv(100).startswith(b"HTTP/1.1 201 ")
        assert node.process.wait(30) == 0


def test_stop_does_not_wait_longer_than_told_nor_at_all_when_told_twice(
    directory: Path, database_url: str
) -> None:
    with (
        serve(directory, database_url=database_url, shutdown_seconds=1) as node,
        _half_a_request(node),
    ):
        assert node.stop() == 0
        assert node.events("process_killed") == []
    with serve(directory, database_url=database_url, shutdown_seconds=600) as node:
        with _half_a_request(node):
            node.process.terminate()
            eventually(lambda: not _accepts(node), "no new connection is taken")
            node.process.send_signal(signal.SIGINT)
            assert node.process.wait(DEADLINE) == 0
        assert [event["process"] for event in node.events("process_killed")] == ["worker-1"]


def _accepts(node: Node) -> bool:
    try:
        socket.create_connection(("127.0.0.1", node.http_port), timeout=5).close()
    except OSError:
        return False
    return True
