"""History says who made and who ended a version, and its times follow one another exactly.

Before, a version got the time at which its transaction began: of two transactions that waited for
each other, the later version could end before it began. What held at a moment was then not told.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"

# Who writes is said by the services (registry/audit.py); whoever does not is named by its login.
_WRITER = """
CREATE FUNCTION current_writer() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('idnode.actor', true), ''), 'database:' || session_user)
$$
"""

_COLUMNS = (
    "ALTER TABLE identifiers ADD actor text",
    # What is there already was written by somebody who is not known any more.
    "ALTER TABLE identifiers ALTER actor SET DEFAULT current_writer()",
    "ALTER TABLE identifiers ALTER created_at SET DEFAULT statement_timestamp(),"
    " ALTER updated_at SET DEFAULT statement_timestamp()",
    "ALTER TABLE identifier_history ADD actor text, ADD ended_by text",
)

# A version ends where the next begins: both triggers work out the same time. The first statement
# after a lock was had begins after whoever held it has written.
_VERSIONED = """
CREATE OR REPLACE FUNCTION identifiers_versioned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := nextval('identifier_version');
    NEW.updated_at := greatest(statement_timestamp(), OLD.updated_at);
    NEW.actor := current_writer();
    RETURN NEW;
END $$
"""

_SUPERSEDED = """
    INSERT INTO identifier_history (prefix, suffix_key, version, suffix, values, template,
            valid_from, valid_to, deleted, actor, ended_by)
        SELECT prefix, suffix_key, version, suffix, values, template,
            updated_at, greatest(statement_timestamp(), updated_at), {deleted}, actor,
            current_writer()
        FROM old_rows;
"""

_UPDATED = """
CREATE OR REPLACE FUNCTION identifiers_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
HISTORY
    INSERT INTO change_log (prefix, suffix_keys)
        SELECT prefix, array_agg(suffix_key)
        FROM (SELECT prefix, suffix_key FROM old_rows
              UNION SELECT prefix, suffix_key FROM new_rows) AS touched
        GROUP BY prefix;
    PERFORM pg_notify('idnode_changes', '');
    RETURN NULL;
END $$
"""

_DELETED = """
CREATE OR REPLACE FUNCTION identifiers_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
HISTORY
    INSERT INTO change_log (prefix, suffix_keys)
        SELECT prefix, array_agg(suffix_key) FROM old_rows GROUP BY prefix;
    PERFORM pg_notify('idnode_changes', '');
    RETURN NULL;
END $$
"""

_OLD_VERSIONED = """
CREATE OR REPLACE FUNCTION identifiers_versioned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := nextval('identifier_version');
    NEW.updated_at := now();
    RETURN NEW;
END $$
"""

_OLD_SUPERSEDED = """
    INSERT INTO identifier_history
        SELECT prefix, suffix_key, version, suffix, values, template, updated_at, now(), {deleted}
        FROM old_rows;
"""


def _triggers(superseded: str) -> None:
    for function, deleted in ((_UPDATED, "false"), (_DELETED, "true")):
        op.execute(function.replace("HISTORY", superseded.format(deleted=deleted)))


def upgrade() -> None:
    """Add the columns, and let the triggers fill them."""
    op.execute(_WRITER)
    for statement in (*_COLUMNS, _VERSIONED):
        op.execute(statement)
    _triggers(_SUPERSEDED)


def downgrade() -> None:
    """Take the columns away and put the triggers back."""
    op.execute(_OLD_VERSIONED)
    _triggers(_OLD_SUPERSEDED)
    op.execute(
        "ALTER TABLE identifiers DROP actor,"
        " ALTER created_at SET DEFAULT now(), ALTER updated_at SET DEFAULT now()"
    )
    op.execute("ALTER TABLE identifier_history DROP actor, DROP ended_by")
    op.execute("DROP FUNCTION current_writer")
