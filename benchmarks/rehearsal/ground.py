"""Where the nodes of a rehearsal stand: each in a network namespace, or on a loopback address.

With namespaces every node has a machine's network of its own, joined by a bridge, and its cable
can be cut. They are made by unshare(2) and end with the processes in them: nothing is left behind,
and the network of the machine itself is not touched. Without the rights for that, nodes stand on
addresses of 127.0.0.0/8, and a cut is a stop of all processes of the node.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_BRIDGE = "tower"
_HOLDER_SECONDS = 10.0


@dataclass(frozen=True)
class Place:
    """Where one node stands. command: what its processes are started with."""

    address: str
    command: tuple[str, ...]
    cable: str | None
    holder: subprocess.Popen[bytes] | None


class Ground:
    """All the places of a rehearsal. network: in CIDR, what all addresses are in."""

    def __init__(self, *, loopback: bool = False) -> None:
        """Make a network of namespaces if that can be done, unless `loopback` is wished.

        Moves this process to a network namespace of its own.
        """
        self.isolated = not loopback and _may_isolate() and _leave()
        self.network = "10.77.0.0/24" if self.isolated else "127.0.77.0/24"
        self._places: list[Place] = []
        if self.isolated:
            _ip("link", "set", "lo", "up")
            _ip("link", "add", _BRIDGE, "type", "bridge")
            _ip("address", "add", "10.77.0.254/24", "dev", _BRIDGE)
            _ip("link", "set", _BRIDGE, "up")

    @property
    def clients(self) -> str:
        """The networks from which the nodes are asked, comma separated."""
        return self.network if self.isolated else "127.0.0.0/8"

    def place(self) -> Place:
        """Return the next place."""
        number = len(self._places) + 1
        here = Place(f"127.0.77.{number}", (), None, None)
        made = _namespace(number) if self.isolated else here
        self._places.append(made)
        return made

    def close(self) -> None:
        """End the namespaces."""
        for place in self._places:
            if place.holder is not None:
                place.holder.communicate()


def cut(place: Place) -> None:
    """Take the cable of a place out."""
    _ip("link", "set", _cable(place), "down")


def mend(place: Place) -> None:
    """Put the cable of a place in again."""
    _ip("link", "set", _cable(place), "up")


def _cable(place: Place) -> str:
    if place.cable is None:
        raise ValueError("a place on a loopback address has no cable")
    return place.cable


def _may_isolate() -> bool:
    tools = all(shutil.which(tool) for tool in ("ip", "nsenter", "unshare"))
    return tools and os.geteuid() == 0


def _leave() -> bool:
    """Move this process to a network of its own; return whether the machine allows it."""
    # os.unshare is of Python 3.12.
    return bool(ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) == 0)


def _namespace(number: int) -> Place:
    address, cable = f"10.77.0.{number}", f"cable{number}"
    # It keeps the namespace alive, and ends when its standard input does: with this process.
    holder = subprocess.Popen(
        ["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    _wait_until_moved(holder.pid)
    inside = ("nsenter", "--net", "--target", str(holder.pid))
    peer = ("peer", "name", "eth0", "netns", str(holder.pid))
    _ip("link", "add", cable, "type", "veth", *peer)
    _ip("link", "set", cable, "master", _BRIDGE, "up")
    _ip("link", "set", "lo", "up", inside=inside)
    _ip("address", "add", f"{address}/24", "dev", "eth0", inside=inside)
    _ip("link", "set", "eth0", "up", inside=inside)
    return Place(address, inside, cable, holder)


def _wait_until_moved(pid: int) -> None:
    def network(of: str) -> str:
        return Path(f"/proc/{of}/ns/net").readlink().name

    end = time.monotonic() + _HOLDER_SECONDS
    while network(str(pid)) == network("self"):
        if time.monotonic() > end:
            raise TimeoutError("no network namespace was made")
        time.sleep(0.01)


def _ip(*arguments: str, inside: tuple[str, ...] = ()) -> None:
    subprocess.run([*inside, "ip", *arguments], check=True, timeout=_HOLDER_SECONDS)
