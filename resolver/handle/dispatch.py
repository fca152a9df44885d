"""Every operation of the Handle protocol that this node knows."""

from __future__ import annotations

from collections.abc import Mapping

from resolver.handle import administer, authenticate, resolve
from resolver.handle.service import Handler

HANDLERS: Mapping[int, Handler] = {
    **resolve.HANDLERS,
    **authenticate.HANDLERS,
    **administer.HANDLERS,
}
