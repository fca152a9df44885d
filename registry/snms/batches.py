"""Batches of the SNMS API: each item is done or refused by itself.

They are done in transactions of a few items each. Whatever fails on the way, what was committed
stays; who sends the batch again is told that it is there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from protocol.errors import IdnodeError
from protocol.identifier import fold
from registry.services import Work

MAX_ITEMS = 2000
"""Items of a batch, as the guide says."""

MAX_BYTES = 4 * 1024 * 1024
"""Of the body: about 2 KiB an item."""

AT_ONCE = 4
"""Batches that one process works on at the same time."""

_ITEMS_IN_TRANSACTION = 50

T = TypeVar("T")


async def run(
    open_work: Callable[[], AbstractAsyncContextManager[Work]],
    items: Sequence[tuple[str, T]],
    do: Callable[[Work, T], Awaitable[None]],
) -> list[IdnodeError | None]:
    """Do the items; return why each was refused, None for what was done.

    open_work: opens a transaction of who asks. items: identifier, and what `do` takes; of items
    with the same identifier the first is tried first. Raises what `open_work` raises, and errors of
    the node itself.
    """
    outcomes: list[IdnodeError | None] = [None] * len(items)
    # All batches lock in the same order, so that none waits for one that waits for it.
    order = sorted(range(len(items)), key=lambda place: fold(items[place][0]))
    for start in range(0, len(order), _ITEMS_IN_TRANSACTION):
        async with open_work() as work:
            for place in order[start : start + _ITEMS_IN_TRANSACTION]:
                outcomes[place] = await _try(work, items[place][1], do)
    return outcomes


async def _try(work: Work, item: T, do: Callable[[Work, T], Awaitable[None]]) -> IdnodeError | None:
    try:
        await do(work, item)
    except IdnodeError as error:
        if error.http_status >= 500:
            raise
        return error  # who refuses has changed nothing: the transaction goes on
    return None
