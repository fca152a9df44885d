"""Every operation of the Handle protocol that this node knows."""

from __future__ import annotations

from collections.abc import Mapping

from resolver.handle import administer, authenticate, logins, resolve, session_setup
from resolver.handle.service import Handler

_ALL = {
    **resolve.HANDLERS,
    **authenticate.HANDLERS,
    **session_setup.HANDLERS,
    **administer.HANDLERS,
    **logins.HANDLERS,
}

HANDLERS: Mapping[int, Handler] = {
    op_code: logins.on_connections(handler) for op_code, handler in _ALL.items()
}
