"""The SQL of registry/identifiers.py: built once, a request only gives it parameters."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from registry import audit, waking
from registry.schema import audit_log, identifiers, prefixes

_values = identifiers.c["values"]
_CURRENT = (
    identifiers.c.prefix,
    identifiers.c.suffix,
    _values.label("values_"),
    identifiers.c.template,
    identifiers.c.version,
    identifiers.c.created_at,
    identifiers.c.updated_at,
)

_PREFIX = sa.bindparam("at_prefix", type_=identifiers.c.prefix.type)
_OWNER = sa.bindparam("at_owner", type_=identifiers.c.prefix.type)
_SUFFIX_KEY = sa.bindparam("at_suffix_key", type_=identifiers.c.suffix_key.type)
_SAME = (identifiers.c.prefix == _PREFIX, identifiers.c.suffix_key == _SUFFIX_KEY)


LOCKED = (
    sa.select(identifiers.c.version, _values.label("values_"), identifiers.c.template)
    .where(*_SAME)
    .with_for_update()
)


_MEMBER = sa.func.range_member(_PREFIX, _SUFFIX_KEY).table_valued(
    *(
        sa.column(column.name, column.type)
        for column in (
            identifiers.c.suffix,
            _values,
            identifiers.c.template,
            identifiers.c.version,
            identifiers.c.created_at,
            identifiers.c.updated_at,
            identifiers.c.actor,
        )
    ),
    name="member",
)
"""What a range says of the identifier, if it is a member of one (registry/ranges.py)."""


def _target_statement() -> sa.Select[Any]:
    """Lock the state of the prefix, see migration 0004, and then the identifier."""
    there = LOCKED.lateral()
    columns = (prefixes.c.enterprise_id, prefixes.c.hosting, prefixes.c.status)
    owner = sa.func.prefix_to_write(_OWNER).table_valued(
        *(sa.column(column.name, column.type) for column in columns), name="owner"
    )
    in_range = (
        sa.select(sa.true().label("member"))
        .select_from(_MEMBER)
        .where(there.c.version.is_(None))
        .lateral()
    )
    held = (there.c.version, there.c.values_, there.c.template, in_range.c.member)
    writer = audit.naming(sa.bindparam("by_actor", type_=sa.Text))
    return sa.select(owner, *held, writer, waking.by_writer()).select_from(
        owner.outerjoin(there, sa.true()).outerjoin(in_range, sa.true())
    )


_ATTESTED = sa.bindparam("attested", type_=audit_log.c.detail.type)


def _logged(statement: Any, *more: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Return `statement` with its line in the audit log: both in one round trip."""
    written = statement.returning(*_CURRENT, *more).cte("written")
    logged = (
        audit_log.insert()
        .from_select(
            ["actor", "action", "subject", "detail", "request_id"],
            sa.select(
                sa.bindparam("by_actor", type_=sa.Text),
                sa.bindparam("action", type_=sa.Text),
                sa.bindparam("subject", type_=sa.Text),
                sa.func.jsonb_build_object("version", written.c.version).op("||")(_ATTESTED),
                sa.bindparam("request_id", type_=sa.Text),
            ),
        )
        .cte("logged")
    )
    return sa.select(written).add_cte(logged)


_ONE = [identifiers.c.prefix, identifiers.c.suffix_key]
_VALUES = sa.bindparam("new_values", type_=_values.type)
_NEW = insert(identifiers).values(
    prefix=_PREFIX,
    suffix_key=_SUFFIX_KEY,
    suffix=sa.bindparam("new_suffix", type_=identifiers.c.suffix.type),
    values=_VALUES,
    template=sa.bindparam("new_template", type_=sa.Text),
)
# PostgreSQL marks the row that it locked for ON CONFLICT DO UPDATE: it was there before.
_CREATED = sa.literal_column("(identifiers.xmax = 0)", sa.Boolean).label("created")

GET = sa.union_all(
    sa.select(*_CURRENT).where(*_SAME),
    sa.select(
        _PREFIX.label("prefix"), *(column for column in _MEMBER.c if column.name != "actor")
    ).where(~sa.exists().where(*_SAME)),
)

TARGET = _target_statement()
INSERT = _logged(_NEW.on_conflict_do_nothing(index_elements=_ONE), _CREATED)
UPSERT = _logged(
    _NEW.on_conflict_do_update(
        index_elements=_ONE,
        set_={name: _NEW.excluded[name] for name in ("suffix", "values", "template")},
    ),
    _CREATED,
)
# The row says what the range said, with its version and its times: nothing has changed so far.
AS_ROW = ["prefix", "suffix_key", "suffix", "values", "template", "version"]
AS_ROW += ["created_at", "updated_at", "actor"]
MATERIALISE = (
    insert(identifiers)
    .from_select(AS_ROW, sa.select(_PREFIX, _SUFFIX_KEY, _MEMBER))
    .on_conflict_do_nothing(index_elements=_ONE)
)
UPDATE = _logged(identifiers.update().where(*_SAME).values({_values: _VALUES}))
DELETE = _logged(identifiers.delete().where(*_SAME))
