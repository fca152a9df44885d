"""Templates: a row for each version; what is published never changes."""

from __future__ import annotations

from alembic import op

from registry.migrations.tenancy import OF_PREFIX, protect, run_as_owner
from registry.tenancy import ROLE

revision = "0008"
down_revision = "0007"

_STATEMENTS = (
    "CREATE SEQUENCE template_revision",
    """
CREATE TABLE templates (
    prefix text COLLATE "C" NOT NULL,
    name_key text COLLATE "C" NOT NULL,
    version integer NOT NULL CHECK (version BETWEEN 1 AND 999),
    name text COLLATE "C" NOT NULL,
    state text NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'published', 'withdrawn')),
    definition jsonb NOT NULL,
    digest bytea NOT NULL,
    reason text,
    revision bigint NOT NULL DEFAULT nextval('template_revision'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,
    withdrawn_at timestamptz,
    PRIMARY KEY (prefix, name_key, version),
    CONSTRAINT templates_times CHECK (
        (published_at IS NULL) = (state = 'draft')
        AND (withdrawn_at IS NULL) = (state <> 'withdrawn'))
)
""",
    # One draft at a time: what the next version will say is said in one place.
    """
CREATE UNIQUE INDEX templates_draft ON templates (prefix, name_key) WHERE state = 'draft'
""",
    """
CREATE FUNCTION templates_guarded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'draft' AND (
        TG_OP = 'DELETE' OR OLD.state = 'withdrawn' OR NEW.state <> 'withdrawn'
        OR (OLD.name, OLD.definition, OLD.digest, OLD.published_at)
            IS DISTINCT FROM (NEW.name, NEW.definition, NEW.digest, NEW.published_at))
    THEN
        RAISE EXCEPTION 'a published version of a template never changes';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    IF (OLD.prefix, OLD.name_key, OLD.version) IS DISTINCT FROM
        (NEW.prefix, NEW.name_key, NEW.version)
    THEN
        RAISE EXCEPTION 'a version of a template keeps its name';
    END IF;
    NEW.revision := nextval('template_revision');
    NEW.updated_at := now();
    RETURN NEW;
END $$
""",
    """
CREATE TRIGGER templates_guarded BEFORE UPDATE OR DELETE ON templates
    FOR EACH ROW EXECUTE FUNCTION templates_guarded()
""",
    # Whoever registers by a template shares its lock, whoever withdraws a version takes it for
    # itself: see migration 0004. Without a version: the newest that is published.
    """
CREATE FUNCTION template_to_write(in_prefix text, in_name_key text, in_version integer)
    RETURNS TABLE (name text, version integer, state text, digest bytea)
    LANGUAGE plpgsql VOLATILE ROWS 1 AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('idnode template'), hashtext(in_prefix));
    RETURN QUERY
        SELECT t.name, t.version, t.state, t.digest FROM templates AS t
        WHERE t.prefix = in_prefix AND t.name_key = in_name_key
            AND CASE WHEN in_version IS NULL THEN t.state = 'published'
                ELSE t.version = in_version END
        ORDER BY t.version DESC LIMIT 1;
END $$
""",
    # Whether something resolves at this node is known to everybody, so it may be asked across
    # enterprises.
    """
CREATE FUNCTION identifiers_missing(in_prefixes text[], in_suffix_keys text[])
    RETURNS TABLE (place integer)
    LANGUAGE sql STABLE AS $$
    SELECT q.place::integer
    FROM unnest(in_prefixes, in_suffix_keys) WITH ORDINALITY AS q (prefix, suffix_key, place)
    LEFT JOIN identifiers AS i ON i.prefix = q.prefix AND i.suffix_key = q.suffix_key
    WHERE i.prefix IS NULL
$$
""",
)

_DOWN = (
    "DROP FUNCTION identifiers_missing, template_to_write",
    "DROP TABLE templates",
    "DROP FUNCTION templates_guarded",
    "DROP SEQUENCE template_revision",
)


def upgrade() -> None:
    """Make the table and its functions."""
    for statement in _STATEMENTS:
        op.execute(statement)
    protect("templates", OF_PREFIX)
    run_as_owner("identifiers_missing(text[], text[])")
    op.execute(f"GRANT USAGE ON SEQUENCE template_revision TO {ROLE}")


def downgrade() -> None:
    """Drop them."""
    for statement in _DOWN:
        op.execute(statement)
