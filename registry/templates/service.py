"""Templates of a prefix: drafts, publication, withdrawal.

    draft -> published -> withdrawn

A draft may be changed and deleted. A published version never changes: what shall be otherwise is
the draft of the next version. A withdrawn one takes no new identifiers; those that it has stay
held to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from protocol.errors import Conflict, HandleExists, InvalidValue, NotFound, ServerNotResponsible
from protocol.identifier import fold
from registry import tenancy
from registry.identifiers import Condition
from registry.prefixes import ACTIVE, HOSTED, MAX_REASON
from registry.principals import OPERATOR, STAFF
from registry.reports import report_template
from registry.schema import prefixes, templates
from registry.services import Record, Work, check_text
from registry.templates import checks, resolvable
from registry.templates.definition import Definition
from registry.templates.lookup import DRAFT, PUBLISHED, WITHDRAWN
from registry.templates.names import MAX_VERSION, Reference, check_fits, check_name

SCOPE = "templates"

# Of a list of versions nobody needs the items, which are most of each.
_SUMMARY = (
    *(column for column in templates.c if column.name != "definition"),
    templates.c.definition.delete_path(["items"]).label("definition"),
)
_EARLIER_TYPES = sa.text(
    """
    SELECT DISTINCT CAST(item ->> 'index' AS integer) AS index_, item ->> 'type' AS type_
    FROM templates AS t CROSS JOIN LATERAL jsonb_array_elements(t.definition -> 'items') AS item
    WHERE t.prefix = :prefix AND t.name_key = :name_key AND t.state <> 'draft'
        AND CAST(item ->> 'index' AS integer) = ANY(CAST(:indexes AS integer[]))"""
)
# Holds the state of the prefix, see migration 0004.
_PREFIX = sa.text("SELECT enterprise_id, hosting, status FROM prefix_to_write(:prefix)")
_NEWEST_FIRST = templates.c.version.desc()


async def create(work: Work, prefix: str, name: str, definition: Definition) -> Record:
    """Make a template, whose first version is a draft; return the row of that version.

    name: unique under the prefix, without regard to ASCII case. Raises InvalidValue with the field,
    HandleExists if the template is there, InsufficientPermission, ServerNotResponsible and Conflict
    for a prefix that is not registered, not hosted here or not active.
    """
    try:
        check_fits(prefix, check_name(name))
    except InvalidValue as error:
        raise error.at("name") from None
    encoded = checks.check(definition)
    await _hold(work, prefix)
    if await _newest(work, prefix, name) is not None:
        raise HandleExists(f"template {name} is there already", field="name")
    return await _insert(work, prefix, Reference(name, 1), definition, encoded)


async def draft_next(
    work: Work, prefix: str, name: str, definition: Definition | None = None
) -> Record:
    """Make the draft of the next version and return its row.

    definition: None begins with what the newest version says. Raises NotFound, Conflict if there is
    a draft or no number is left, and as `create` does.
    """
    if definition is not None:
        checks.check(definition)
    await _hold(work, prefix)
    before = await _newest(work, prefix, name)
    if before is None:
        raise NotFound(f"there is no template {name} under {prefix}")
    if before.state == DRAFT:
        raise Conflict(f"version {before.version} is a draft: publish it or delete it first")
    if before.version == MAX_VERSION:
        raise Conflict(f"a template has at most {MAX_VERSION} versions")
    if definition is None:
        definition = definition_of(before)
    reference = Reference(before.name, before.version + 1)
    return await _insert(work, prefix, reference, definition, checks.check(definition))


async def replace(
    work: Work, prefix: str, reference: Reference, definition: Definition, when: Condition
) -> Record:
    """Say anew what a draft says; return its row.

    Raises NotFound, PreconditionFailed, Conflict for what is not a draft, and as `create` does.
    """
    encoded = checks.check(definition)
    row = await _locked(work, prefix, reference, when)
    _be_draft(row)
    changed = await _update(
        work, row, definition=msgspec.to_builtins(definition), digest=_digest(encoded)
    )
    await _audit(work, "replace", changed, sha256=changed.digest.hex())
    return changed


async def delete(work: Work, prefix: str, reference: Reference, when: Condition) -> None:
    """Delete a draft. Raises NotFound, PreconditionFailed, and Conflict for what is not a draft."""
    row = await _locked(work, prefix, reference, when)
    _be_draft(row)
    await work.connection.execute(templates.delete().where(*_is(row)))
    await _audit(work, "delete", row)


async def publish(work: Work, prefix: str, reference: Reference) -> Record:
    """Publish a draft: it holds from now on, and resolves; return its row.

    Raises NotFound, Conflict for what is not a draft, InvalidValue if it has no item that is
    enabled, or gives an index of an earlier version to another type.
    """
    row = await _locked(work, prefix, reference)
    _be_draft(row)
    definition = definition_of(row)
    if not any(item.enabled for item in definition.items):
        raise InvalidValue("no item is enabled", field="items")
    checks.check_successor(await _earlier_types(work, row, definition), definition)
    published = await _update(work, row, state=PUBLISHED, published_at=work.now)
    await resolvable.publish(work, published)
    await _tell(work, published)
    await _audit(work, "publish", published, sha256=published.digest.hex())
    return published


async def withdraw(work: Work, prefix: str, reference: Reference, reason: str) -> Record:
    """Withdraw a published version, for good; return its row.

    Raises NotFound, InvalidValue for the reason, Conflict for what is not published.
    """
    check_text(reason, "reason", maximum=MAX_REASON)
    # Before the lock of the prefix: see registry.templates.lookup.
    lock = sa.func.pg_advisory_xact_lock(
        sa.func.hashtext("idnode template"), sa.func.hashtext(prefix)
    )
    await work.connection.execute(sa.select(lock))
    row = await _locked(work, prefix, reference)
    if row.state != PUBLISHED:
        raise Conflict(f"only a published version can be withdrawn, but it is {row.state}")
    withdrawn = await _update(work, row, state=WITHDRAWN, reason=reason, withdrawn_at=work.now)
    await resolvable.publish(work, withdrawn)
    await _tell(work, withdrawn)
    await _audit(work, "withdraw", withdrawn, reason=reason)
    return withdrawn


async def _tell(work: Work, row: Record) -> None:
    """Let the top-level node know; the outbox is the node's, whoever publishes."""
    async with tenancy.lifted(work.connection, work.principal.enterprise_id):
        await report_template(work.connection, row)


async def get(work: Work, prefix: str, reference: Reference) -> Record:
    """Return one version; without a number, the newest that is published. Raises NotFound."""
    await _may_read(work, prefix)
    query = sa.select(templates).where(*_named(prefix, reference.name))
    if reference.version is None:
        query = query.where(templates.c.state == PUBLISHED).order_by(_NEWEST_FIRST).limit(1)
    else:
        query = query.where(templates.c.version == reference.version)
    row = (await work.connection.execute(query)).one_or_none()
    if row is None:
        raise _not_found(prefix, reference)
    return row


async def versions(
    work: Work, prefix: str, name: str, *, before: int | None, limit: int
) -> Sequence[Record]:
    """Return at most `limit` versions of a template without their items, the newest first.

    before: only versions lower than this. Raises NotFound.
    """
    await _may_read(work, prefix)
    query = sa.select(*_SUMMARY).where(*_named(prefix, name)).order_by(_NEWEST_FIRST).limit(limit)
    if before is not None:
        query = query.where(templates.c.version < before)
    rows = (await work.connection.execute(query)).all()
    if not rows and before is None:
        raise _not_found(prefix, Reference(name))
    return rows


@dataclass(frozen=True, slots=True)
class Place:
    """Where a version stands in the list of all."""

    prefix: str
    name_key: str
    version: int


async def page(
    work: Work,
    *,
    prefix: str | None = None,
    state: str | None = None,
    after: Place | None,
    limit: int,
) -> Sequence[Record]:
    """Return at most `limit` versions that the caller may see, without their items.

    They are in order of prefix, name and version.
    """
    own = work.principal.enterprise_id
    work.principal.require(*STAFF, enterprise=own, scope=SCOPE)
    key = (templates.c.prefix, templates.c.name_key, templates.c.version)
    query = sa.select(*_SUMMARY).order_by(*key).limit(limit)
    if own is not None:
        owned = sa.select(prefixes.c.prefix).where(prefixes.c.enterprise_id == own)
        query = query.where(templates.c.prefix.in_(owned))
    if prefix is not None:
        query = query.where(templates.c.prefix == prefix)
    if state is not None:
        query = query.where(templates.c.state == state)
    if after is not None:
        position = (sa.literal(after.prefix), sa.literal(after.name_key), sa.literal(after.version))
        query = query.where(sa.tuple_(*key) > sa.tuple_(*position))
    return (await work.connection.execute(query)).all()


def definition_of(row: Record) -> Definition:
    """Return what a version says."""
    return msgspec.convert(row.definition, Definition)


async def _hold(work: Work, prefix: str) -> None:
    """Let the caller write templates under `prefix`, whose state stays as it is, or refuse."""
    if prefix == work.node_prefix:
        work.principal.require(OPERATOR, scope=SCOPE)
        return
    row = (await work.connection.execute(_PREFIX, {"prefix": prefix})).one_or_none()
    if row is None:
        raise _not_ours(prefix)
    work.principal.require(OPERATOR, enterprise=row.enterprise_id, scope=SCOPE)
    if row.hosting != HOSTED:
        raise Conflict(f"prefix {prefix} is delegated: its templates are at its own node")
    if row.status != ACTIVE:
        raise Conflict(f"prefix {prefix} is {row.status}, not active")


async def _may_read(work: Work, prefix: str) -> None:
    if prefix == work.node_prefix:
        work.principal.require(*STAFF, scope=SCOPE)
        return
    owner = await work.connection.scalar(sa.select(sa.func.prefix_owner(prefix)))
    if owner is None:
        raise _not_ours(prefix)
    work.principal.require(*STAFF, enterprise=owner, scope=SCOPE)


async def _newest(work: Work, prefix: str, name: str) -> Record | None:
    """Return the newest version of a template, locked: whoever adds the next one waits."""
    query = (
        sa.select(templates)
        .where(*_named(prefix, name))
        .order_by(_NEWEST_FIRST)
        .limit(1)
        .with_for_update()
    )
    return (await work.connection.execute(query)).one_or_none()


async def _insert(
    work: Work, prefix: str, reference: Reference, definition: Definition, encoded: bytes
) -> Record:
    new = insert(templates).values(
        prefix=prefix,
        name_key=reference.name_key,
        version=reference.version,
        name=reference.name,
        definition=msgspec.to_builtins(definition),
        digest=_digest(encoded),
        created_at=work.now,
        updated_at=work.now,
    )
    made = await work.connection.execute(new.on_conflict_do_nothing().returning(templates))
    row: Record | None = made.one_or_none()
    if row is None:  # somebody was faster
        raise HandleExists(f"template {reference} is there already", field="name")
    await _audit(work, "draft", row, sha256=row.digest.hex())
    return row


async def _locked(
    work: Work, prefix: str, reference: Reference, when: Condition | None = None
) -> Record:
    await _hold(work, prefix)
    query = (
        sa.select(templates)
        .where(*_named(prefix, reference.name), templates.c.version == reference.version)
        .with_for_update()
    )
    row = (await work.connection.execute(query)).one_or_none()
    if row is None:
        raise _not_found(prefix, reference)
    if when is not None:
        when.check(row.revision)
    return row


async def _earlier_types(work: Work, row: Record, definition: Definition) -> dict[int, str]:
    """Return the types that the indexes of `definition` had in versions that were published."""
    found = await work.connection.execute(
        _EARLIER_TYPES,
        {
            "prefix": row.prefix,
            "name_key": row.name_key,
            "indexes": [item.index for item in definition.items],
        },
    )
    return {row.index_: row.type_ for row in found}


async def _update(work: Work, row: Record, **values: Any) -> Record:
    changed = templates.update().where(*_is(row)).values(**values).returning(templates)
    after: Record = (await work.connection.execute(changed)).one()
    return after


def _named(prefix: str, name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return templates.c.prefix == prefix, templates.c.name_key == fold(name)


def _is(row: Record) -> tuple[sa.ColumnElement[bool], ...]:
    return (*_named(row.prefix, row.name), templates.c.version == row.version)


def _be_draft(row: Record) -> None:
    if row.state != DRAFT:
        raise Conflict(f"version {row.version} is {row.state}, no draft")


def _not_ours(prefix: str) -> ServerNotResponsible:
    return ServerNotResponsible(f"prefix {prefix} is not registered here", field="prefix")


def _not_found(prefix: str, reference: Reference) -> NotFound:
    return NotFound(f"there is no template {reference} under {prefix}")


def _digest(encoded: bytes) -> bytes:
    return hashlib.sha256(encoded).digest()


async def _audit(work: Work, action: str, row: Record, **detail: Any) -> None:
    subject = str(Reference(row.name, row.version).identifier(row.prefix))
    await work.audit(f"template.{action}", subject, detail)
