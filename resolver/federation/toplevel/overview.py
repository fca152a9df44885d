"""What the stub shows of its nodes: who they are, what they have filed, what was refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from resolver.federation.toplevel.schema import (
    certificates,
    figures,
    filings,
    nodes,
    refusals,
    sites,
)

MOST_SHOWN = 100
"""Rows of each list."""

Row = sa.Row[*tuple[Any, ...]]


@dataclass(frozen=True)
class Overview:
    """The lists of the page, the latest first."""

    nodes: list[Row]
    filings: list[Row]
    figures: list[Row]
    refusals: list[Row]


async def read_overview(connection: AsyncConnection) -> Overview:
    """Read all lists."""
    return Overview(
        await read_nodes(connection),
        list(
            await connection.execute(
                sa.select(filings).order_by(filings.c.updated_at.desc()).limit(MOST_SHOWN)
            )
        ),
        await read_figures(connection),
        await read_refusals(connection),
    )


async def read_figures(connection: AsyncConnection) -> list[Row]:
    """Return the hours and days that nodes reported, the latest first: `total` of all prefixes."""
    query = (
        sa.select(
            figures.c.node,
            figures.c.per,
            figures.c.start,
            figures.c.report["total"].label("total"),
            figures.c.updated_at,
        )
        .order_by(figures.c.start.desc(), figures.c.per, figures.c.node)
        .limit(MOST_SHOWN)
    )
    return list(await connection.execute(query))


async def read_refusals(connection: AsyncConnection) -> list[Row]:
    """Return what was refused, the latest first."""
    shown = [column for column in refusals.c if column is not refusals.c.digest]
    query = sa.select(*shown).order_by(refusals.c.last_at.desc()).limit(MOST_SHOWN)
    return list(await connection.execute(query))


async def read_nodes(connection: AsyncConnection) -> list[Row]:
    """Return whatever has been heard of each node, those first that were heard of last.

    `age`: seconds since the last heartbeat. `filed`: prefixes that are filed and active.
    `certified_until`: end of the last certificate that was not revoked; `revoked`: whether there
    were certificates and all are.
    """
    known = sa.union(
        sa.select(nodes.c.node), sa.select(sites.c.node), sa.select(certificates.c.node)
    ).subquery()
    trust = (
        sa.select(
            certificates.c.node,
            sa.func.max(certificates.c.expires_at)
            .filter(certificates.c.revoked_at.is_(None))
            .label("certified_until"),
            sa.func.bool_and(certificates.c.revoked_at.is_not(None)).label("revoked"),
        )
        .group_by(certificates.c.node)
        .subquery()
    )
    filed = (
        sa.select(filings.c.node, sa.func.count().label("filed"))
        .where(filings.c.status == "active")
        .group_by(filings.c.node)
        .subquery()
    )
    beat = nodes.c.last_heartbeat_at
    query = (
        sa.select(
            known.c.node,
            nodes.c.version,
            nodes.c.outbox_depth,
            nodes.c.prefixes,
            nodes.c.health,
            nodes.c.identifiers,
            beat,
            sa.cast(sa.extract("epoch", sa.func.now() - beat), sa.Double).label("age"),
            sites.c.site,
            sa.func.coalesce(filed.c.filed, 0).label("filed"),
            trust.c.certified_until,
            sa.func.coalesce(trust.c.revoked, sa.false()).label("revoked"),
        )
        .outerjoin(nodes, nodes.c.node == known.c.node)
        .outerjoin(sites, sites.c.node == known.c.node)
        .outerjoin(filed, filed.c.node == known.c.node)
        .outerjoin(trust, trust.c.node == known.c.node)
        .order_by(beat.desc().nulls_last(), known.c.node)
        .limit(MOST_SHOWN)
    )
    return list(await connection.execute(query))
