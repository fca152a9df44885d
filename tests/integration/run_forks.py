"""Fork processes that can be killed, in milliseconds: all that they import is here already.

Each line on standard input is a JSON list. ["run_uplink", ARGUMENT, ...] starts the `main` of a
module beside this one and is answered with the number of the process, [] waits for one that has
been killed. At the end of standard input all are killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

from tests.integration import run_toplevel, run_uplink, run_writer

_MODULES = {
    module.__name__.rpartition(".")[2]: module for module in (run_toplevel, run_uplink, run_writer)
}


def _start(name: str, *arguments: object) -> int:
    number = os.fork()
    if number:
        return number
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(quiet, descriptor)
    try:
        asyncio.run(_MODULES[name].main(*arguments))
    finally:
        os._exit(1)  # it does not end by itself


def _serve() -> None:
    running: set[int] = set()
    for line in sys.stdin:
        asked = json.loads(line)
        if asked:
            answer = _start(*asked)
            running.add(answer)
        else:
            answer, status = os.wait()
            running.discard(answer)
            if not os.WIFSIGNALED(status):
                answer = -1
        print(answer, flush=True)
    for number in running:
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)


if __name__ == "__main__":
    _serve()
