"""A child process of the supervisor, seen from inside.

Its standard input brings one line, the task, and then stays open as long as the supervisor lives:
end of file means that the supervisor is gone, however it ended, and that the child must end too.
On its standard output it says when it is ready. Nothing secret stands in its arguments or
its environment.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import structlog
import uvloop

from admin import logs
from admin.settings import Settings
from registry import metrics

log = structlog.get_logger("idnode.child")

READY = b"ready\n"
_LAST_SECONDS = 5.0
_STDIN, _STDOUT = 0, 1


class Task(msgspec.Struct, frozen=True):
    """What a child is told.

    name: of the process in the logs. row: its row in the file of metrics.
    """

    name: str
    settings: Settings
    database_url: str
    metrics_file: str
    row: int

    def encode(self) -> bytes:
        """Return the task as one line."""
        return msgspec.json.encode(self, enc_hook=os.fspath) + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Task:
        """Read what `encode` made. Raises msgspec.ValidationError."""
        return msgspec.json.decode(line, type=cls, dec_hook=lambda kind, value: kind(value))

    def open_row(self) -> metrics.Row:
        """Return the row that this process writes."""
        return metrics.open_rows(Path(self.metrics_file))[self.row]


Main = Callable[[Task, asyncio.Event], Awaitable[None]]
"""A child's work: it ends in good order when the event is set."""


def run(main: Main) -> None:
    """Read the task and do the work until told to stop, or until the supervisor is gone."""
    # Ctrl-C and a closed terminal reach the whole group; the supervisor decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    task = Task.decode(sys.stdin.buffer.readline())
    logs.configure(task.settings.log_level)
    structlog.contextvars.bind_contextvars(process=task.name)
    uvloop.run(_run(main, task))
    # Nothing is left to save, and freeing a large cache entry by entry takes seconds.
    sys.stderr.flush()
    os._exit(0)


def report_ready() -> None:
    """Tell the supervisor that this process does its work now."""
    os.write(_STDOUT, READY)


def when_standard_input_ends(call: Callable[[], None]) -> None:
    """Call once whoever holds the other end of our standard input is gone."""
    loop = asyncio.get_running_loop()

    def look() -> None:
        if not os.read(_STDIN, 1):
            loop.remove_reader(_STDIN)
            log.warning("parent_gone")
            call()

    loop.add_reader(_STDIN, look)


async def _run(main: Main, task: Task) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def end() -> None:
        if not stop.is_set():
            stop.set()
            _end_at_last(task.settings.shutdown_seconds + _LAST_SECONDS)

    loop.add_signal_handler(signal.SIGTERM, end)
    when_standard_input_ends(end)
    await main(task, stop)


def _end_at_last(seconds: float) -> None:
    """End the process after so long even if the loop hangs: there may be nobody left to do it."""
    timer = threading.Timer(seconds, os._exit, (1,))
    timer.daemon = True
    timer.start()
