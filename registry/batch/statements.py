"""The SQL of batches: each statement does its part for all operations at once.

Rows are always taken in the order of their keys, so that two batches do not wait for each other in
a circle.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from registry.identifier_statements import AS_ROW
from registry.schema import Name, Time

_KEYS = "unnest(CAST(:prefixes AS text[]), CAST(:suffix_keys AS text[]))"
_AS_ROW = ", ".join(AS_ROW)
_COLUMNS = (
    sa.column("prefix", Name),
    sa.column("suffix_key", Name),
    sa.column("version", sa.BigInteger),
)

OWNERS = sa.text(
    """
    SELECT q.prefix, owner.enterprise_id, owner.hosting, owner.status,
        set_config(:writer, :actor, true), set_config(:wakes, :by_writer, true)
    FROM unnest(CAST(:prefixes AS text[])) AS q (prefix)
    LEFT JOIN LATERAL prefix_to_write(q.prefix) AS owner ON true"""
).columns(
    sa.column("prefix", Name),
    sa.column("enterprise_id", pg.UUID(as_uuid=True)),
    sa.column("hosting", sa.Text),
    sa.column("status", sa.Text),
)
"""Locks the state of each prefix, in the order given, and says what it is; see migration 0004.

Names the writer, too, who wakes readers: see registry/audit.py and registry/waking.py."""

LOCK = sa.text(
    f"""
    SELECT i.prefix, i.suffix_key, i.version, i.template
    FROM {_KEYS} AS q (prefix, suffix_key)
    JOIN identifiers AS i ON i.prefix = q.prefix AND i.suffix_key = q.suffix_key
    ORDER BY i.prefix, i.suffix_key
    FOR UPDATE OF i"""  # noqa: S608  only names of ours
).columns(*_COLUMNS, sa.column("template", sa.Text))

_MEMBERS = f"""
    {_KEYS} AS q (prefix, suffix_key)
    CROSS JOIN LATERAL range_member(q.prefix, q.suffix_key) AS m
    WHERE q.prefix IN (SELECT prefix FROM ranges WHERE prefix = ANY (CAST(:prefixes AS text[])))
    ORDER BY q.prefix, q.suffix_key"""  # noqa: S608  only names of ours

MEMBERS = sa.text(
    f"SELECT q.prefix, q.suffix_key, m.version, m.template FROM {_MEMBERS}"  # noqa: S608
).columns(*_COLUMNS, sa.column("template", sa.Text))
"""What ranges say of their members among the keys; see registry/ranges.py."""

MATERIALISE = sa.text(
    f"""
    INSERT INTO identifiers ({_AS_ROW}) SELECT q.prefix, q.suffix_key, m.* FROM {_MEMBERS}
    ON CONFLICT (prefix, suffix_key) DO NOTHING
    RETURNING prefix, suffix_key, version"""  # noqa: S608  only names of ours
).columns(*_COLUMNS)
"""Gives members the rows that say what their ranges say. Who has one by now is not returned."""

# What only a new identifier may take meets one that somebody else has registered since it was
# looked for: it stays as it is, and does not come back.
PUT = sa.text(
    """
    INSERT INTO identifiers AS i (prefix, suffix_key, suffix, values, template)
    SELECT q.prefix, q.suffix_key, q.suffix, CAST(q.stored AS jsonb), q.template
    FROM unnest(CAST(:prefixes AS text[]), CAST(:suffix_keys AS text[]), CAST(:suffixes AS text[]),
                CAST(:stored AS text[]), CAST(:templates AS text[]))
        AS q (prefix, suffix_key, suffix, stored, template)
    ON CONFLICT (prefix, suffix_key) DO UPDATE
        SET suffix = excluded.suffix, values = excluded.values, template = excluded.template
        WHERE (i.prefix, i.suffix_key) NOT IN (
            SELECT * FROM unnest(CAST(:new_prefixes AS text[]), CAST(:new_suffix_keys AS text[])))
    RETURNING i.prefix, i.suffix_key, i.version, i.created_at, i.updated_at,
        i.xmax = 0 AS created"""
).columns(
    *_COLUMNS,
    sa.column("created_at", Time),
    sa.column("updated_at", Time),
    sa.column("created", sa.Boolean),
)

DELETE = sa.text(
    f"""
    DELETE FROM identifiers AS i USING {_KEYS} AS q (prefix, suffix_key)
    WHERE i.prefix = q.prefix AND i.suffix_key = q.suffix_key
    RETURNING i.prefix, i.suffix_key, i.version"""  # noqa: S608  only names of ours
).columns(*_COLUMNS)

LOG = sa.text(
    """
    INSERT INTO audit_log (actor, action, subject, detail, request_id)
    SELECT :actor, :action, q.subject, CAST(q.detail AS jsonb), q.request_id
    FROM unnest(CAST(:subjects AS text[]), CAST(:details AS text[]), CAST(:request_ids AS text[]))
        WITH ORDINALITY AS q (subject, detail, request_id, place)
    ORDER BY q.place"""
)
