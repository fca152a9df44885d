"""Messages of kind "prefix": the state of one prefix, which replaces what was filed before."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol import typed
from protocol.errors import Conflict, InvalidValue
from protocol.handle.service import read_service
from registry.outbox import PrefixFiling
from resolver.federation.toplevel.messages import Kind, Message, check_named_prefix
from resolver.federation.toplevel.schema import filings


def check(message: Message[PrefixFiling]) -> None:
    """Raise InvalidValue or Conflict unless the prefix is the node's own to file, and is whole."""
    prefix = message.payload.prefix
    check_named_prefix(prefix, "payload.prefix")
    if message.subject != prefix:
        raise InvalidValue("not the prefix that is filed", field="subject")
    if not prefix.startswith(f"{message.node}."):
        raise Conflict(f"the prefix is not under {message.node}", field="payload.prefix")
    _check_place(message.payload)


def _check_place(payload: PrefixFiling) -> None:
    places = (payload.site is not None) + (payload.service is not None)
    if places != (payload.hosting == "delegated"):
        raise InvalidValue(
            "a delegated prefix has a site or a service, a hosted one none", field="payload.site"
        )
    if payload.service is not None:
        try:
            read_service(payload.service)
        except InvalidValue as error:
            raise error.at("payload.service") from None
    if payload.site is not None:
        try:
            typed.site_from_json(payload.site)
        except InvalidValue as error:
            raise error.at("payload.site") from None


async def apply(connection: AsyncConnection, message: Message[PrefixFiling]) -> None:
    """File the prefix. Raises Conflict if another node has filed it."""
    payload = message.payload
    state = {
        "enterprise_name": payload.enterprise.name,
        "credit_code": payload.enterprise.credit_code,
        "industry": payload.enterprise.industry,
        "hosting": payload.hosting,
        "site": payload.site,
        "service": payload.service,
        "status": payload.status,
        "updated_at": sa.func.now(),
    }
    filed = await connection.execute(
        pg.insert(filings)
        .values(prefix=payload.prefix, node=message.node, **state)
        .on_conflict_do_update(
            index_elements=[filings.c.prefix], set_=state, where=filings.c.node == message.node
        )
        .returning(filings.c.prefix)
    )
    if filed.one_or_none() is None:
        raise Conflict("another node has filed this prefix", field="payload.prefix")


PREFIX_KIND = Kind(Message[PrefixFiling], check, apply)
