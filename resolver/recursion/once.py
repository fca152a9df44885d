"""One walk from the root, for a person who wants to see the way."""

from __future__ import annotations

import asyncio
from functools import partial

from protocol.errors import ResponseCode
from protocol.identifier import Identifier
from resolver.client.exchange import Answer
from resolver.client.steps import Watch
from resolver.recursion.asker import Asker, real_network
from resolver.recursion.model import Bounds, RecursionFailed
from resolver.recursion.places import Place
from resolver.recursion.walk import Walk, walked


async def walk_once(identifier: Identifier, root: Place, watch: Watch) -> Answer:
    """Walk from the root to an identifier, nothing of it being known before.

    Any address is asked, as whoever asks has chosen the root. Raises RecursionFailed.
    """
    bounds = Bounds()
    asker = Asker(real_network(lambda _reason: None), bounds)
    walk = Walk(
        root,
        known=lambda _prefix: None,
        learn=lambda _prefix, _place, _values: None,
        allows=lambda _host, _port: True,
        bounds=bounds,
        refused=lambda _count: None,
    )
    try:
        async with asyncio.timeout(bounds.seconds):
            asked = await walked(walk.find(identifier), partial(asker.ask, watch=watch))
    except TimeoutError:
        raise RecursionFailed(
            f"{identifier}: no answer in {bounds.seconds:g} s", "deadline"
        ) from None
    if asked is None:
        detail = f"prefix {identifier.prefix} is not registered"
        return Answer(ResponseCode.HANDLE_NOT_FOUND, str(identifier), detail=detail)
    return asked[0]
