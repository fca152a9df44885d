"""Enterprises are kept apart by row-level security; see registry/tenancy.py."""

from __future__ import annotations

from alembic import op

from registry.migrations.tenancy import (
    OF_ENTERPRISE,
    OF_IDENTIFIER,
    append_only,
    make_role,
    protect,
    run_as_caller,
    run_as_owner,
    unprotect,
)
from registry.tenancy import ROLE, SETTING

revision = "0007"
down_revision = "0006"

_TENANT = f"""
CREATE FUNCTION current_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('{SETTING}', true), '')::uuid $$
"""

# Whether a prefix is given out is no secret; without this, reading would take one look more.
_OWNER = """
CREATE FUNCTION prefix_owner(wanted text) RETURNS uuid LANGUAGE sql STABLE
    AS $$ SELECT enterprise_id FROM prefixes WHERE prefix = wanted $$
"""

_OF_ACCOUNT = (
    "account_id IN (SELECT a.id FROM accounts AS a WHERE a.enterprise_id = current_tenant())"
)
_OF_IMPORT = "import_id IN (SELECT i.id FROM imports AS i WHERE i.enterprise_id = current_tenant())"

_PROTECTED = (
    ("enterprises", "id = current_tenant()", "SELECT, UPDATE"),
    ("accounts", OF_ENTERPRISE, "SELECT, INSERT, UPDATE"),
    ("api_keys", OF_ENTERPRISE, "SELECT, INSERT, UPDATE"),
    ("sessions", _OF_ACCOUNT, "SELECT, UPDATE, DELETE"),
    ("password_resets", _OF_ACCOUNT, "SELECT, INSERT, UPDATE, DELETE"),
    ("prefixes", OF_ENTERPRISE, "SELECT, INSERT, UPDATE"),
    ("identifiers", OF_IDENTIFIER, "SELECT, INSERT, UPDATE, DELETE"),
    ("identifier_history", OF_IDENTIFIER, "SELECT"),
    ("idempotency_keys", OF_ENTERPRISE, "SELECT, INSERT, UPDATE"),
    ("imports", OF_ENTERPRISE, "SELECT, INSERT, UPDATE, DELETE"),
    ("import_chunks", _OF_IMPORT, "SELECT, INSERT, DELETE"),
    ("import_errors", _OF_IMPORT, "SELECT"),
)

# Triggers that write what nobody writes by hand, and what must look at the prefixes of all.
_AS_OWNER = (
    "identifiers_versioned()",
    "identifiers_inserted()",
    "identifiers_updated()",
    "identifiers_deleted()",
    "prefix_changed()",
    "prefix_to_write(text)",
    "prefix_owner(text)",
)


def upgrade() -> None:
    """Make the role and the policies."""
    make_role()
    op.execute(_TENANT)
    op.execute(_OWNER)
    op.execute("ALTER TABLE idempotency_keys ADD enterprise_id uuid DEFAULT current_tenant()")
    for table, owner, allow in _PROTECTED:
        protect(table, owner, allow)
    append_only("audit_log")
    for function in _AS_OWNER:
        run_as_owner(function)
    op.execute(f"GRANT USAGE ON SEQUENCE identifier_version TO {ROLE}")


def downgrade() -> None:
    """Take the policies away; the role stays, which other databases may use."""
    op.execute(f"REVOKE ALL ON SEQUENCE identifier_version FROM {ROLE}")
    for table, _, _ in _PROTECTED:
        unprotect(table)
    unprotect("audit_log")
    op.execute("ALTER TABLE idempotency_keys DROP enterprise_id")
    for function in _AS_OWNER:
        run_as_caller(function)
    op.execute("DROP FUNCTION prefix_owner, current_tenant")
