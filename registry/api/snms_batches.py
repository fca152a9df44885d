"""The batches of the SNMS API on the wire."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from aiohttp import web

from protocol.errors import HandleNotFound, IdnodeError, InvalidValue
from registry.api import snms_answers
from registry.api.identifier_batches import place, reading
from registry.api.requests import convert, decode_anything
from registry.api.snms import answered, open_work, read_raw
from registry.snms import batches, wire

T = TypeVar("T")

_DATA = "/identityv2/data"


Do = Callable[[batches.OpenWork, Sequence[T]], Awaitable[batches.Outcomes]]


async def batch_create(request: web.Request) -> web.Response:
    """POST /identityv2/data/batchCreate."""
    return await _batch(request, "registers", _record, batches.create)


async def batch_update(request: web.Request) -> web.Response:
    """PUT /identityv2/data/batchUpdate."""
    return await _batch(request, "replaces", _record, batches.update)


async def batch_delete(request: web.Request) -> web.Response:
    """DELETE /identityv2/data/batchDelete."""
    return await _batch(request, "deletes", _handle, batches.delete, with_code=True)


async def _batch(
    request: web.Request,
    does: str,
    read: Callable[[Any], T],
    do: Do[T],
    *,
    with_code: bool = False,
) -> web.Response:
    """Read a list of items and do each; with_code: the status of each stands in the answer."""
    async with open_work(request) as work:  # who may not come in at all takes no place
        tenant = work.principal.enterprise_id
    async with reading(request, tenant):
        body = decode_anything(await read_raw(request, batches.MAX_BYTES))
        items = body.get("handles") if isinstance(body, dict) else body
        if not isinstance(items, list):
            raise _no_list(does)
        if len(items) > batches.MAX_ITEMS:
            raise InvalidValue(f"a batch {does} at most {batches.MAX_ITEMS} identifiers")
        async with place(request, tenant):
            outcomes = await _do(request, items, read, do)
    return snms_answers.succeeded(
        [
            _result(item, outcome, with_code=with_code)
            for item, outcome in zip(items, outcomes, strict=True)
        ]
    )


def _no_list(does: str) -> InvalidValue:
    if does == "deletes":
        return InvalidValue("must be a list", field="handles")
    return InvalidValue("the body must be a list")


async def _do(
    request: web.Request, items: Sequence[Any], read: Callable[[Any], T], do: Do[T]
) -> batches.Outcomes:
    outcomes: batches.Outcomes = [None] * len(items)
    good: dict[int, T] = {}
    for position, item in enumerate(items):
        try:
            good[position] = read(item)
        except IdnodeError as error:
            outcomes[position] = error
    done = await do(lambda within: open_work(request, within), list(good.values()))
    for position, outcome in zip(good, done, strict=True):
        outcomes[position] = outcome
    return outcomes


def _record(item: Any) -> wire.SnmsRecord:
    return convert(item, wire.SnmsRecord)


def _handle(item: Any) -> str:
    return convert({"handle": item}, wire.SnmsHandle).handle


def _named(item: Any) -> str:
    """Return the identifier of an item as it was sent; "" where it names none."""
    named = item.get("handle") if isinstance(item, dict) else item
    return named if isinstance(named, str) else ""


def _result(item: Any, outcome: IdnodeError | None, *, with_code: bool) -> dict[str, Any]:
    result: dict[str, Any] = {"handle": _named(item), "msg": _message(outcome)}
    if with_code:
        status = snms_answers.Status.SUCCESS
        result["code"] = int(status if outcome is None else snms_answers.status_of(outcome))
    return result


def _message(outcome: IdnodeError | None) -> str:
    if outcome is None:
        return snms_answers.SUCCESS
    if isinstance(outcome, HandleNotFound):
        return snms_answers.NOT_THERE
    return snms_answers.message_of(outcome)


routes: list[web.RouteDef] = [
    web.post(f"{_DATA}/batchCreate", answered(batch_create, snms_answers.failed_write)),
    web.put(f"{_DATA}/batchUpdate", answered(batch_update, snms_answers.failed_write)),
    web.delete(f"{_DATA}/batchDelete", answered(batch_delete, snms_answers.failed_write)),
]
