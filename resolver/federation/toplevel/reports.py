"""Messages that report a node's work: figures of hours and days, and templates."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.errors import Conflict, InvalidValue
from registry.escrow.schedule import ESCROW, EscrowNotice
from registry.reports import PeriodReport, TemplateReport
from resolver.federation.toplevel.messages import Kind, Message, check_named_prefix
from resolver.federation.toplevel.schema import escrows, figures, templates


def _check_figures(message: Message[PeriodReport]) -> None:
    """Raise InvalidValue unless the subject names what is reported, and figures fit together."""
    payload = message.payload
    if message.subject != f"statistics {payload.per} {payload.start}":
        raise InvalidValue("not the time that is reported", field="subject")
    names = [one.prefix for one in payload.prefixes]
    if len(set(names)) < len(names):
        raise InvalidValue("a prefix is there twice", field="payload.prefixes")
    for name in payload.total.__struct_fields__:
        whole = getattr(payload.total, name)
        if sum(getattr(one.figures, name) for one in payload.prefixes) > whole:
            raise InvalidValue("less than its prefixes together", field=f"payload.total.{name}")


async def _keep_figures(connection: AsyncConnection, message: Message[PeriodReport]) -> None:
    """Keep the report unless a later one of the same is there."""
    payload = message.payload
    state = {
        "revision": payload.revision,
        "report": msgspec.to_builtins(payload),
        "updated_at": sa.func.now(),
    }
    await connection.execute(
        pg.insert(figures)
        .values(node=message.node, per=payload.per, start=payload.start, **state)
        .on_conflict_do_update(
            index_elements=[figures.c.node, figures.c.per, figures.c.start],
            set_=state,
            where=figures.c.revision < payload.revision,
        )
    )


def _check_template(message: Message[TemplateReport]) -> None:
    """Raise InvalidValue or Conflict unless the template is under the node's own."""
    prefix = message.payload.prefix
    check_named_prefix(prefix, "payload.prefix")
    if not message.subject.startswith(f"{prefix} template "):
        raise InvalidValue("not the template that is reported", field="subject")
    if not prefix.startswith(f"{message.node}."):
        raise Conflict(f"the prefix is not under {message.node}", field="payload.prefix")


async def _keep_template(connection: AsyncConnection, message: Message[TemplateReport]) -> None:
    """Keep what a version is now."""
    payload = message.payload
    state = {
        "state": payload.state,
        "definition": payload.definition,
        "sha256": payload.sha256,
        "updated_at": sa.func.now(),
    }
    key = {"prefix": payload.prefix, "name": payload.name, "version": payload.version}
    await connection.execute(
        pg.insert(templates)
        .values(node=message.node, **key, **state)
        .on_conflict_do_update(index_elements=[templates.c[name] for name in key], set_=state)
    )


def _check_escrow(message: Message[EscrowNotice]) -> None:
    """Raise InvalidValue unless the subject is the one of all steps, and a first has no former."""
    if message.subject != ESCROW:
        raise InvalidValue(f"not {ESCROW}", field="subject")
    if (message.payload.number == 0) != (message.payload.previous is None):
        raise InvalidValue("the first of a series follows none", field="payload.previous")


async def _keep_escrow(connection: AsyncConnection, message: Message[EscrowNotice]) -> None:
    """Keep it: what was taken once was taken."""
    payload = message.payload
    await connection.execute(
        pg.insert(escrows)
        .values(node=message.node, **msgspec.to_builtins(payload))
        .on_conflict_do_nothing(index_elements=[escrows.c.node, escrows.c.digest])
    )


ESCROW_KIND = Kind(Message[EscrowNotice], _check_escrow, _keep_escrow)
STATISTICS_KIND = Kind(Message[PeriodReport], _check_figures, _keep_figures)
TEMPLATE_KIND = Kind(Message[TemplateReport], _check_template, _keep_template)
