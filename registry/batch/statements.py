"""The SQL of batches: each statement does its part for all operations at once.

Those with $1, which every registration goes through, are for registry/raw.py; each has a class
beside it for its rows.

Rows are always taken in the order of their keys, so that two batches do not wait for each other in
a circle.
"""

from __future__ import annotations

import datetime
import uuid
from typing import NamedTuple

import sqlalchemy as sa

from registry import audit, waking
from registry.identifier_statements import AS_ROW
from registry.schema import Name

_KEYS = "unnest(CAST(:prefixes AS text[]), CAST(:suffix_keys AS text[]))"
_AS_ROW = ", ".join(AS_ROW)
_COLUMNS = (
    sa.column("prefix", Name),
    sa.column("suffix_key", Name),
    sa.column("version", sa.BigInteger),
)

OWNERS = f"""
    SELECT q.prefix, owner.enterprise_id, owner.hosting, owner.status,
        set_config('{audit.WRITER}', $2, true),
        set_config('{waking.SETTING}', '{waking.WRITER}', true)
    FROM unnest(CAST($1 AS text[])) AS q (prefix)
    LEFT JOIN LATERAL prefix_to_write(q.prefix) AS owner ON true"""  # noqa: S608  only names of ours
"""Locks the state of each prefix, in the order given, and says what it is; see migration 0004.

$1: prefixes. $2: the writer, whom it names, too, as who wakes readers: see registry/audit.py and
registry/waking.py."""


class Owned(NamedTuple):
    """A row of OWNERS; all but the prefix None: it is not registered."""

    prefix: str
    enterprise_id: uuid.UUID | None
    hosting: str | None
    status: str | None
    writer: str
    wakes: str


_IN_RANGES = "q.prefix IN (SELECT prefix FROM ranges WHERE prefix = ANY (CAST({} AS text[])))"

LOOK = f"""
    SELECT q.prefix, q.suffix_key, coalesce(i.version, m.version) AS version,
        CASE WHEN i.version IS NULL THEN m.template ELSE i.template END AS template,
        i.version IS NULL AS member
    FROM unnest(CAST($1 AS text[]), CAST($2 AS text[])) AS q (prefix, suffix_key)
    LEFT JOIN LATERAL (
        SELECT version, template FROM identifiers
        WHERE prefix = q.prefix AND suffix_key = q.suffix_key FOR UPDATE
    ) AS i ON true
    LEFT JOIN LATERAL (
        SELECT version, template FROM range_member(q.prefix, q.suffix_key)
        WHERE i.version IS NULL AND {_IN_RANGES.format("$1")}
    ) AS m ON true
    WHERE coalesce(i.version, m.version) IS NOT NULL"""  # noqa: S608  only names of ours
"""Locks what is there, in the order given, and says what it is. $1, $2: prefixes and suffixes."""


class Found(NamedTuple):
    """A row of LOOK. member: it is there by a range alone, see registry/ranges.py."""

    prefix: str
    suffix_key: str
    version: int
    template: str | None
    member: bool


MATERIALISE = sa.text(
    f"""
    INSERT INTO identifiers ({_AS_ROW})
    SELECT q.prefix, q.suffix_key, m.*
    FROM {_KEYS} AS q (prefix, suffix_key)
    CROSS JOIN LATERAL range_member(q.prefix, q.suffix_key) AS m
    WHERE {_IN_RANGES.format(":prefixes")}
    ORDER BY q.prefix, q.suffix_key
    ON CONFLICT (prefix, suffix_key) DO NOTHING
    RETURNING prefix, suffix_key, version"""  # noqa: S608  only names of ours
).columns(*_COLUMNS)
"""Gives members the rows that say what their ranges say. Who has one by now is not returned."""

# What only a new identifier may take meets one that somebody else has registered since it was
# looked for: it stays as it is, and does not come back.
PUT = """
    INSERT INTO identifiers AS i (prefix, suffix_key, suffix, values, template)
    SELECT q.prefix, q.suffix_key, q.suffix, CAST(q.stored AS jsonb), q.template
    FROM unnest(CAST($1 AS text[]), CAST($2 AS text[]), CAST($3 AS text[]), CAST($4 AS text[]),
                CAST($5 AS text[]))
        AS q (prefix, suffix_key, suffix, stored, template)
    ON CONFLICT (prefix, suffix_key) DO UPDATE
        SET suffix = excluded.suffix, values = excluded.values, template = excluded.template
        WHERE (i.prefix, i.suffix_key) NOT IN (
            SELECT * FROM unnest(CAST($6 AS text[]), CAST($7 AS text[])))
    RETURNING i.prefix, i.suffix_key, i.version, i.created_at, i.updated_at,
        i.xmax = 0 AS created"""
"""$1 to $5: prefixes, suffixes in their canonical form and as spelled, values as JSON, templates.
$6, $7: prefixes and canonical suffixes of those that must be new."""

PUT_LOGGED = f"""
    WITH written AS ({PUT}
    ), logged AS (
        INSERT INTO audit_log (actor, action, subject, detail, request_id)
        SELECT CAST($8 AS text), CAST($9 AS text), line.subject,
            jsonb_build_object('version', written.version) || CAST(line.attested AS jsonb),
            line.request_id
        FROM unnest(CAST($1 AS text[]), CAST($2 AS text[]), CAST($10 AS text[]),
                    CAST($11 AS text[]), CAST($12 AS text[]))
            AS line (prefix, suffix_key, subject, attested, request_id)
        JOIN written USING (prefix, suffix_key)
    ) SELECT * FROM written"""  # noqa: S608  only names of ours
"""PUT with a line of the audit log for each identifier that is written.

$8, $9: who does what, in all the lines. $10 to $12: subject, detail and request of each."""


class Written(NamedTuple):
    """A row of PUT and PUT_LOGGED."""

    prefix: str
    suffix_key: str
    version: int
    created_at: datetime.datetime
    updated_at: datetime.datetime
    created: bool


DELETE = sa.text(
    f"""
    DELETE FROM identifiers AS i USING {_KEYS} AS q (prefix, suffix_key)
    WHERE i.prefix = q.prefix AND i.suffix_key = q.suffix_key
    RETURNING i.prefix, i.suffix_key, i.version"""  # noqa: S608  only names of ours
).columns(*_COLUMNS)
