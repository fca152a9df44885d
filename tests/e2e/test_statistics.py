"""What was answered is counted, whatever is killed: every answer that a client got, and once."""

from __future__ import annotations

import datetime
import http.client
import threading
from pathlib import Path

import psutil

from tests.e2e.node import DEADLINE, Node, eventually, serve


class Asking(threading.Thread):
    """Asks for one identifier on connection after connection, and counts the answers it got.

    sent: requests, of which those were not answered whose connection was lost.
    """

    def __init__(self, node: Node, path: str) -> None:
        super().__init__(daemon=True)
        self.node, self.path = node, path
        self.sent = self.answered = 0
        self.enough = threading.Event()

    def run(self) -> None:
        while not self.enough.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.node.http_port, timeout=10)
            try:
                for _ in range(500):
                    self.sent += 1
                    connection.request("GET", self.path)
                    answer = connection.getresponse()
                    answer.read()
                    assert answer.status in (200, 503), answer.status
                    self.answered += answer.status == 200
                    if self.enough.is_set():
                        break
            except (OSError, http.client.HTTPException):
                self.enough.wait(0.02)  # nobody listens yet
            finally:
                connection.close()


def found(node: Node, prefix: str) -> int:
    """Return how many resolutions under the prefix are told of."""
    path = f"/api/v1/statistics/resolutions?per=total&prefix={prefix}"
    answer = node.get(path)
    assert answer.status == 200, answer.body
    return sum(item["found"] for item in answer.json["items"])


def test_answers_of_killed_workers_and_of_a_killed_node_are_counted(
    directory: Path, database_url: str
) -> None:
    with serve(directory, database_url=database_url, workers=2) as node:
        prefix = node.register(["A"])
        clients = [Asking(node, f"/api/handles/{prefix}/A") for _ in range(3)]
        for client in clients:
            client.start()
        for kill in range(3):
            goal = (kill + 1) * 1500
            eventually(
                lambda goal=goal: sum(client.answered for client in clients) >= goal,
                "answers are given",
            )
            killed = {process.pid for process in node.named("admin.worker")}
            for pid in killed:
                psutil.Process(pid).kill()
            eventually(
                lambda killed=killed: not killed & {p.pid for p in node.named("admin.worker")},
                "killed workers are started again",
            )
            eventually(node.ready, "the node is ready again")
        children = node.named("admin.")
        node.process.kill()  # the others end when it is gone
        node.process.wait(DEADLINE)
        for client in clients:
            client.enough.set()
            client.join(DEADLINE)
        _, left = psutil.wait_procs(children, 30)
        assert left == []
    sent = sum(client.sent for client in clients)
    answered = sum(client.answered for client in clients)
    assert sent > answered >= 4500, "some requests were cut off"
    with serve(directory, database_url=database_url, workers=1) as node:
        told = eventually(
            lambda: found(node, prefix) if found(node, prefix) >= answered else 0,
            f"{answered} answers are counted",
        )
        assert told <= sent, "and nothing twice"
        assert not list((node.data_dir / "statistics").glob("*.counts"))[1:], "one file is in use"


def test_registrations_resolutions_and_top_names_of_a_running_node(
    directory: Path, database_url: str
) -> None:
    with serve(directory, database_url=database_url, workers=1) as node:
        prefix = node.register(["A", "B"])
        for suffix, times in (("A", 5), ("B", 2), ("none", 3)):
            for _ in range(times):
                node.get(f"/api/handles/{prefix}/{suffix}")
        path = f"/api/v1/statistics/registrations?per=total&prefix={prefix}"
        assert node.get(path).json["items"][0]["created"] == 2
        assert node.stop() == 0
    with serve(directory, database_url=database_url, workers=1) as node:
        (row,) = node.get(f"/api/v1/statistics/resolutions?per=hour&prefix={prefix}").json["items"]
        assert (row["found"], row["not_found"]) == (7, 3), (
            "all is written when a node ends in order"
        )
        assert datetime.datetime.fromisoformat(row["time"]).minute == 0
        top = node.get(f"/api/v1/statistics/top?prefix={prefix}").json
        assert [(each["identifier"], each["at_least"]) for each in top["items"]] == [
            (f"{prefix}/A", 5),
            (f"{prefix}/B", 2),
        ]
        missing = node.get("/api/v1/statistics/top?kind=missing").json["items"]
        assert [(each["identifier"], each["at_most"]) for each in missing] == [
            (f"{prefix}/NONE", 3)
        ]
