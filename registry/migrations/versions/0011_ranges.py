"""Ranges: many identifiers that differ in a number at their end, registered in one row.

A member of a range exists without a row of its own. As soon as it gets one, in `identifiers`, the
row holds; when that is deleted, an exception keeps the member out of its range.
"""

from __future__ import annotations

from alembic import op

from registry.migrations.tenancy import OF_PREFIX, protect, run_as_owner

revision = "0011"
down_revision = "0010"

_TABLES = (
    """
CREATE TABLE ranges (
    prefix text COLLATE "C" NOT NULL,
    head text COLLATE "C" NOT NULL,
    width smallint NOT NULL CHECK (width BETWEEN 1 AND 18),
    first bigint NOT NULL CHECK (first >= 0),
    last bigint NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    spelling text COLLATE "C" NOT NULL,
    values jsonb NOT NULL,
    substitute boolean NOT NULL DEFAULT false,
    template text,
    version bigint NOT NULL DEFAULT nextval('identifier_version'),
    created_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    actor text DEFAULT current_writer(),
    PRIMARY KEY (prefix, head, width, first),
    UNIQUE (prefix, id),
    CONSTRAINT ranges_numbers CHECK (first <= last AND last < (10::numeric ^ width))
)
""",
    """
CREATE TABLE range_history (
    prefix text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    head text COLLATE "C" NOT NULL,
    width smallint NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    spelling text COLLATE "C" NOT NULL,
    values jsonb NOT NULL,
    substitute boolean NOT NULL,
    template text,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz NOT NULL,
    deleted boolean NOT NULL,
    actor text,
    ended_by text,
    PRIMARY KEY (prefix, id, version)
)
""",
    "CREATE INDEX range_history_head ON range_history (prefix, head, width)",
    """
CREATE TABLE range_exceptions (
    prefix text COLLATE "C" NOT NULL,
    suffix_key text COLLATE "C" NOT NULL,
    range_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    PRIMARY KEY (prefix, suffix_key, range_id)
)
""",
)

# The number of a suffix is its last digits, at most 18: it fits an int8, and a suffix has one
# number and one width alone. The functions are plain SQL, so that queries take them in whole.
_FUNCTIONS = (
    r"""
CREATE FUNCTION range_covering(at_prefix text, at_key text) RETURNS SETOF ranges
    LANGUAGE sql STABLE ROWS 1 AS $$
    SELECT r.*
    FROM (SELECT substring(at_key FROM '[0-9]{1,18}$') AS digits) AS d
    CROSS JOIN LATERAL (
        SELECT * FROM ranges
        WHERE prefix = at_prefix AND head = left(at_key, -length(d.digits))
            AND width = length(d.digits) AND first <= d.digits::bigint
        ORDER BY first DESC LIMIT 1
    ) AS r
    WHERE r.last >= d.digits::bigint
$$
""",
    r"""
CREATE FUNCTION member_values(shared jsonb, substitute boolean, suffix text, digits text)
    RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN substitute THEN
        replace(replace(shared::text, '{number}', digits), '{suffix}',
                substring(to_json(suffix)::text FROM 2 FOR length(to_json(suffix)::text) - 2)
        )::jsonb
    ELSE shared END
$$
""",
    r"""
CREATE FUNCTION range_member(at_prefix text, at_key text)
    RETURNS TABLE (suffix text, "values" jsonb, template text, version bigint,
                   created_at timestamptz, updated_at timestamptz, actor text)
    LANGUAGE sql STABLE ROWS 1 AS $$
    SELECT r.spelling || right(at_key, r.width),
        member_values(r.values, r.substitute,
                      r.spelling || right(at_key, r.width), right(at_key, r.width)),
        r.template, r.version, r.created_at, r.updated_at, r.actor
    FROM range_covering(at_prefix, at_key) AS r
    WHERE NOT EXISTS (
        SELECT FROM range_exceptions AS e
        WHERE e.prefix = at_prefix AND e.suffix_key = at_key AND e.range_id = r.id)
$$
""",
    # A version of a range is one of its member unless the member had a row, or was out, when
    # that version began; and it ends at the latest when the member gets a row.
    r"""
CREATE FUNCTION identifier_versions(at_prefix text, at_key text)
    RETURNS TABLE (version bigint, suffix text, "values" jsonb, template text,
                   valid_from timestamptz, valid_to timestamptz, deleted boolean,
                   actor text, ended_by text)
    LANGUAGE sql STABLE AS $$
    WITH own AS (
        SELECT i.version, i.suffix, i.values, i.template,
            i.updated_at AS valid_from, NULL::timestamptz AS valid_to, false AS deleted,
            i.actor, NULL::text AS ended_by
        FROM identifiers AS i WHERE i.prefix = at_prefix AND i.suffix_key = at_key
        UNION ALL
        SELECT h.version, h.suffix, h.values, h.template, h.valid_from, h.valid_to, h.deleted,
            h.actor, h.ended_by
        FROM identifier_history AS h WHERE h.prefix = at_prefix AND h.suffix_key = at_key
    ), digits AS (
        SELECT substring(at_key FROM '[0-9]{1,18}$') AS digits
    ), shared AS (
        SELECT r.id, r.version, r.spelling, r.values, r.substitute, r.template,
            r.updated_at AS valid_from, NULL::timestamptz AS valid_to, false AS deleted,
            r.actor, NULL::text AS ended_by
        FROM range_covering(at_prefix, at_key) AS r
        UNION ALL
        SELECT h.id, h.version, h.spelling, h.values, h.substitute, h.template,
            h.valid_from, h.valid_to, h.deleted, h.actor, h.ended_by
        FROM digits AS d JOIN range_history AS h
            ON h.prefix = at_prefix AND h.head = left(at_key, -length(d.digits))
            AND h.width = length(d.digits) AND d.digits::bigint BETWEEN h.first AND h.last
    ), as_member AS (
        SELECT s.*, (SELECT min(o.valid_from) FROM own AS o WHERE o.valid_from > s.valid_from)
            AS own_from
        FROM shared AS s
        WHERE NOT EXISTS (
                SELECT FROM own AS o WHERE o.valid_from <= s.valid_from
                    AND (o.valid_to IS NULL OR o.valid_to > s.valid_from))
            AND NOT EXISTS (
                SELECT FROM range_exceptions AS e
                WHERE e.prefix = at_prefix AND e.suffix_key = at_key
                    AND e.range_id = s.id AND e.created_at <= s.valid_from)
    )
    SELECT * FROM own
    UNION ALL
    SELECT m.version, m.spelling || d.digits,
        member_values(m.values, m.substitute, m.spelling || d.digits, d.digits), m.template,
        m.valid_from, least(m.valid_to, m.own_from),
        m.deleted AND (m.own_from IS NULL OR m.own_from >= m.valid_to), m.actor, m.ended_by
    FROM as_member AS m CROSS JOIN digits AS d
$$
""",
)

MISSING = "identifiers_missing(text[], text[])"

# References and relations know members of ranges too.
_MISSING = """
CREATE OR REPLACE FUNCTION identifiers_missing(in_prefixes text[], in_suffix_keys text[])
    RETURNS TABLE (place integer)
    LANGUAGE sql STABLE AS $$
    SELECT q.place::integer
    FROM unnest(in_prefixes, in_suffix_keys) WITH ORDINALITY AS q (prefix, suffix_key, place)
    LEFT JOIN identifiers AS i ON i.prefix = q.prefix AND i.suffix_key = q.suffix_key
    WHERE i.prefix IS NULL {more}
$$
"""
_NO_MEMBER = "AND NOT EXISTS (SELECT FROM range_member(q.prefix, q.suffix_key))"

_TRIGGERS = (
    r"""
CREATE FUNCTION was_member(of_range ranges, at_key text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT left(at_key, -of_range.width) = of_range.head
        AND right(at_key, of_range.width) ~ '^[0-9]+$'
        AND CASE WHEN right(at_key, of_range.width) ~ '^[0-9]+$'
            THEN right(at_key, of_range.width)::bigint
                BETWEEN of_range.first AND of_range.last END
        AND NOT EXISTS (SELECT FROM identifiers AS i
                        WHERE i.prefix = of_range.prefix AND i.suffix_key = at_key)
$$
""",
    """
CREATE FUNCTION range_apart() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- the lock of whoever changes the state of a prefix: see registry/prefixes.py
    PERFORM pg_advisory_xact_lock(hashtext('idnode prefix'), hashtext(NEW.prefix));
    IF EXISTS (SELECT FROM ranges AS r
               WHERE r.prefix = NEW.prefix AND r.head = NEW.head AND r.width = NEW.width
                   AND r.id <> NEW.id AND r.first <= NEW.last AND r.last >= NEW.first) THEN
        RAISE exclusion_violation USING MESSAGE = 'the range overlaps another';
    END IF;
    RETURN NEW;
END $$
""",
    """
CREATE TRIGGER range_apart BEFORE INSERT OR UPDATE ON ranges
    FOR EACH ROW EXECUTE FUNCTION range_apart()
""",
    """
CREATE FUNCTION range_versioned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := nextval('identifier_version');
    NEW.updated_at := greatest(statement_timestamp(), OLD.updated_at);
    NEW.actor := current_writer();
    RETURN NEW;
END $$
""",
    """
CREATE TRIGGER range_versioned BEFORE UPDATE ON ranges
    FOR EACH ROW EXECUTE FUNCTION range_versioned()
""",
    """
CREATE FUNCTION range_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO range_history VALUES (
            OLD.prefix, OLD.id, OLD.version, OLD.head, OLD.width, OLD.first, OLD.last,
            OLD.spelling, OLD.values, OLD.substitute, OLD.template, OLD.updated_at,
            greatest(statement_timestamp(), OLD.updated_at), TG_OP = 'DELETE',
            OLD.actor, current_writer());
    END IF;
    IF TG_OP = 'DELETE' THEN
        -- what is said of members that have no row ends with them
        UPDATE relations AS r
            SET valid_to = greatest(statement_timestamp(), r.valid_from),
                ended_by = current_writer()
            WHERE r.valid_to IS NULL AND (
                (r.prefix = OLD.prefix AND was_member(OLD, r.suffix_key))
                OR (r.target_prefix = OLD.prefix AND was_member(OLD, r.target_suffix_key)));
    END IF;
    INSERT INTO change_log (prefix, suffix_keys) VALUES (coalesce(NEW.prefix, OLD.prefix), NULL);
    PERFORM pg_notify('idnode_changes', '');
    RETURN NULL;
END $$
""",
    """
CREATE TRIGGER range_changed AFTER INSERT OR UPDATE OR DELETE ON ranges
    FOR EACH ROW EXECUTE FUNCTION range_changed()
""",
    """
CREATE FUNCTION leave_range() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO range_exceptions (prefix, suffix_key, range_id)
        SELECT o.prefix, o.suffix_key, r.id
        FROM old_rows AS o CROSS JOIN LATERAL range_covering(o.prefix, o.suffix_key) AS r
        ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$
""",
    """
CREATE TRIGGER leave_range AFTER DELETE ON identifiers
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION leave_range()
""",
)

_AS_OWNER = ("range_apart()", "range_changed()", "leave_range()", MISSING)

_DOWN = (
    "DROP TRIGGER leave_range ON identifiers",
    "DROP FUNCTION leave_range, identifier_versions, range_member, member_values, range_covering,"
    " was_member",
    "DROP TABLE range_exceptions, range_history, ranges",
    "DROP FUNCTION range_changed, range_versioned, range_apart",
)


def upgrade() -> None:
    """Make the tables, functions and triggers."""
    for statement in (*_TABLES, *_FUNCTIONS, *_TRIGGERS):
        op.execute(statement)
    op.execute(_MISSING.format(more=_NO_MEMBER))
    protect("ranges", OF_PREFIX)
    protect("range_history", OF_PREFIX, "SELECT")
    protect("range_exceptions", OF_PREFIX, "SELECT")
    for function in _AS_OWNER:
        run_as_owner(function)


def downgrade() -> None:
    """Drop all of it; members without a row of their own are gone then."""
    op.execute(_MISSING.format(more=""))
    run_as_owner(MISSING)
    for statement in _DOWN:
        op.execute(statement)
