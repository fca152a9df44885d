"""Messages of kind "node": the site of a node, which replaces what was filed before."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol import typed
from protocol.errors import InvalidValue
from registry.node_filing import NodeFiling
from resolver.federation.toplevel.messages import Kind, Message
from resolver.federation.toplevel.schema import sites


def check(message: Message[NodeFiling]) -> None:
    """Raise InvalidValue unless a node files its own site, and it is one that can be asked."""
    if message.subject != message.node:
        raise InvalidValue("not the node that files", field="subject")
    try:
        typed.site_from_json(message.payload.site)
    except InvalidValue as error:
        raise error.at("payload.site") from None
    if not message.payload.site.get("servers"):
        raise InvalidValue("a site has a server", field="payload.site.servers")


async def apply(connection: AsyncConnection, message: Message[NodeFiling]) -> None:
    """Keep the site."""
    state = {"site": message.payload.site, "updated_at": sa.func.now()}
    await connection.execute(
        pg.insert(sites)
        .values(node=message.node, **state)
        .on_conflict_do_update(index_elements=[sites.c.node], set_=state)
    )


NODE_KIND = Kind(Message[NodeFiling], check, apply)
