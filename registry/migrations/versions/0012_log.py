"""The audit log as a Merkle tree (RFC 9162): its leaves, the nodes above them, its signed heads."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"

_TABLES = (
    """
CREATE TABLE log_entries (
    leaf_index bigint PRIMARY KEY CHECK (leaf_index >= 0),
    seq bigint NOT NULL UNIQUE,
    leaf_hash bytea NOT NULL CHECK (length(leaf_hash) = 32)
)
""",
    """
CREATE TABLE log_nodes (
    level smallint NOT NULL CHECK (level > 0),
    number bigint NOT NULL CHECK (number >= 0),
    hash bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, number)
)
""",
    """
CREATE TABLE log_heads (
    tree_size bigint PRIMARY KEY CHECK (tree_size > 0),
    timestamp bigint NOT NULL UNIQUE,
    root_hash bytea NOT NULL CHECK (length(root_hash) = 32),
    signature bytea NOT NULL,
    public_key bytea NOT NULL,
    settled bigint NOT NULL
)
""",
)

_NAMES = ("log_entries", "log_nodes", "log_heads")

# An identifier is found by any of its spellings.
_INDEX = 'CREATE INDEX audit_log_subject ON audit_log (upper(subject COLLATE "C"))'


def upgrade() -> None:
    """Make the tables, each of which only grows."""
    for statement in _TABLES:
        op.execute(statement)
    for name in _NAMES:
        op.execute(
            f"CREATE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {name}"
            " FOR EACH STATEMENT EXECUTE FUNCTION append_only()"
        )
    op.execute("DROP INDEX audit_log_subject")
    op.execute(_INDEX)


def downgrade() -> None:
    """Drop them; the lines of the audit log stay."""
    op.execute("DROP INDEX audit_log_subject")
    op.execute("CREATE INDEX audit_log_subject ON audit_log (subject)")
    op.execute(f"DROP TABLE {', '.join(_NAMES)}")
