"""Row-level security, for migrations: each table that holds something of an enterprise.

A migration that makes such a table calls `protect`. A test looks at every table of the database and
finds one that was forgotten; tables of the node alone stand in registry.tenancy.NODE_TABLES.
"""

from __future__ import annotations

import asyncpg
import sqlalchemy as sa
from alembic import op

from registry.tenancy import ROLE, RoleMissing

OF_ENTERPRISE = "enterprise_id = current_tenant()"
"""The owner of a table that has the column enterprise_id."""

OF_PREFIX = (
    "prefix IN (SELECT p.prefix FROM prefixes AS p WHERE p.enterprise_id = current_tenant())"
)
"""The owner of a table that has the column prefix."""

OF_IDENTIFIER = (
    "CASE prefix WHEN '0.NA' THEN suffix_key ELSE prefix END"
    " IN (SELECT p.prefix FROM prefixes AS p WHERE p.enterprise_id = current_tenant())"
)
"""The owner of a table that has prefix and suffix_key; who owns a prefix owns its prefix handle."""

_VERSION_WITH_SET_OPTION = 160_000


def protect(table: str, owner: str, allow: str = "SELECT, INSERT, UPDATE, DELETE") -> None:
    """Let enterprises reach their own rows of `table`, and no others.

    owner: the condition, in SQL, that a row is the enterprise's; see OF_ENTERPRISE, OF_PREFIX and
    OF_IDENTIFIER. allow: what may be done to the rows. Dropping the table undoes it.
    """
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON {table} TO {ROLE} USING ({owner}) WITH CHECK ({owner})")
    op.execute(f"GRANT {allow} ON {table} TO {ROLE}")


def append_only(table: str) -> None:
    """Let enterprises add rows to `table` and read none. Dropping the table undoes it."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON {table} FOR INSERT TO {ROLE} WITH CHECK (true)")
    op.execute(f"GRANT INSERT ON {table} TO {ROLE}")


def unprotect(table: str) -> None:
    """Undo `protect` or `append_only` on a table that stays."""
    op.execute(f"REVOKE ALL ON {table} FROM {ROLE}")
    op.execute(f"DROP POLICY tenant ON {table}")
    op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")


def run_as_owner(function: str) -> None:
    """Let a function write what enterprises may not: it runs with the rights of its owner.

    function: with its argument types. Its search_path is fixed, so that no temporary table takes
    the place of one of ours (PostgreSQL, CREATE FUNCTION, "Writing SECURITY DEFINER Functions
    Safely").
    """
    schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
    path = f"pg_catalog, {schema}, pg_temp"
    op.execute(f"ALTER FUNCTION {function} SECURITY DEFINER SET search_path = {path}")


def run_as_caller(function: str) -> None:
    """Undo `run_as_owner`."""
    op.execute(f"ALTER FUNCTION {function} SECURITY INVOKER RESET search_path")


def make_role() -> None:
    """Make the role of enterprises if it is not there, and see that we may take it on.

    Roles belong to the whole server: other databases on it may have made it, also at this moment.
    Raises RoleMissing where the database user may do neither.
    """
    connection = op.get_bind()
    there = sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role")
    if not connection.scalar(there, {"role": ROLE}):
        _attempt(connection, f"CREATE ROLE {ROLE} NOLOGIN")
    version = connection.scalar(sa.text("SELECT current_setting('server_version_num')::int"))
    new = (version or 0) >= _VERSION_WITH_SET_OPTION
    may = sa.select(sa.func.pg_has_role(ROLE, "SET" if new else "MEMBER"))
    if not connection.scalar(may):
        how = " WITH INHERIT FALSE, SET TRUE" if new else ""
        _attempt(connection, f"GRANT {ROLE} TO CURRENT_USER{how}")
        if not connection.scalar(may):
            raise RoleMissing(_user(connection))


def _attempt(connection: sa.Connection, statement: str) -> None:
    """Run what another database on the server may be doing at this moment: then it is done."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(statement)
    except sa.exc.DBAPIError as error:
        cause = error.orig.__cause__ if error.orig else None
        if isinstance(cause, asyncpg.InsufficientPrivilegeError):
            raise RoleMissing(_user(connection)) from error
        if not isinstance(
            cause,
            asyncpg.DuplicateObjectError
            | asyncpg.UniqueViolationError
            | asyncpg.InternalServerError,  # "tuple concurrently updated"
        ):
            raise


def _user(connection: sa.Connection) -> str:
    return str(connection.scalar(sa.text("SELECT quote_ident(current_user)")))
