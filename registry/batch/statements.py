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

_IN_RANGES = (
    "q.prefix IN (SELECT prefix FROM ranges WHERE prefix = ANY (CAST(:prefixes AS text[])))"
)

LOOK = sa.text(
    f"""
    SELECT q.prefix, q.suffix_key, coalesce(i.version, m.version) AS version,
        CASE WHEN i.version IS NULL THEN m.template ELSE i.template END AS template,
        i.version IS NULL AS member
    FROM {_KEYS} AS q (prefix, suffix_key)
    LEFT JOIN LATERAL (
        SELECT version, template FROM identifiers
        WHERE prefix = q.prefix AND suffix_key = q.suffix_key FOR UPDATE
    ) AS i ON true
    LEFT JOIN LATERAL (
        SELECT version, template FROM range_member(q.prefix, q.suffix_key)
        WHERE i.version IS NULL AND {_IN_RANGES}
    ) AS m ON true
    WHERE coalesce(i.version, m.version) IS NOT NULL"""  # noqa: S608  only names of ours
).columns(*_COLUMNS, sa.column("template", sa.Text), sa.column("member", sa.Boolean))
"""Locks what is there, in the order given, and says what it is; member: by a range alone, see
registry/ranges.py."""

MATERIALISE = sa.text(
    f"""
    INSERT INTO identifiers ({_AS_ROW})
    SELECT q.prefix, q.suffix_key, m.*
    FROM {_KEYS} AS q (prefix, suffix_key)
    CROSS JOIN LATERAL range_member(q.prefix, q.suffix_key) AS m
    WHERE {_IN_RANGES}
    ORDER BY q.prefix, q.suffix_key
    ON CONFLICT (prefix, suffix_key) DO NOTHING
    RETURNING prefix, suffix_key, version"""  # noqa: S608  only names of ours
).columns(*_COLUMNS)
"""Gives members the rows that say what their ranges say. Who has one by now is not returned."""

# What only a new identifier may take meets one that somebody else has registered since it was
# looked for: it stays as it is, and does not come back.
_PUT = """
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
_WRITTEN = (
    *_COLUMNS,
    sa.column("created_at", Time),
    sa.column("updated_at", Time),
    sa.column("created", sa.Boolean),
)

PUT = sa.text(_PUT).columns(*_WRITTEN)

PUT_LOGGED = sa.text(
    f"""
    WITH written AS ({_PUT}
    ), logged AS (
        INSERT INTO audit_log (actor, action, subject, detail, request_id)
        SELECT :actor, :action, line.subject,
            jsonb_build_object('version', written.version) || CAST(line.attested AS jsonb),
            line.request_id
        FROM unnest(CAST(:prefixes AS text[]), CAST(:suffix_keys AS text[]),
                    CAST(:subjects AS text[]), CAST(:attested AS text[]),
                    CAST(:request_ids AS text[]))
            AS line (prefix, suffix_key, subject, attested, request_id)
        JOIN written USING (prefix, suffix_key)
    ) SELECT * FROM written"""  # noqa: S608  only names of ours
).columns(*_WRITTEN)
"""PUT with a line of the audit log for each identifier that is written."""

DELETE = sa.text(
    f"""
    DELETE FROM identifiers AS i USING {_KEYS} AS q (prefix, suffix_key)
    WHERE i.prefix = q.prefix AND i.suffix_key = q.suffix_key
    RETURNING i.prefix, i.suffix_key, i.version"""  # noqa: S608  only names of ours
).columns(*_COLUMNS)
