"""Which tables are in the escrow, and how an increment tells what has changed in each.

A row bears the id of the transaction that wrote it, `xmin`. An increment tells the rows whose id
is not below that of every transaction that was open at the step before; rows that are told twice
replace themselves. Deletions leave no row, so each table that knows them has a way of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from registry.schema import metadata


@dataclass(frozen=True)
class Part:
    """How one table is kept.

    growing: an increment holds the rows that were written since; otherwise the whole table, which
    is for tables that are small, or of which rows are deleted.
    where: a condition in SQL; rows without it are not part of the escrow.
    removed: a query for the keys of rows that may be gone, of a growing table; `{changed}` in it
    is the condition that a row was written since.
    parent: the table whose rows take those of this one with them when they are deleted.
    time: the column by which old rows of a growing table are given up.
    recent: the column, a day, of which an increment holds the latest days, whole.
    """

    table: str
    growing: bool = False
    where: str = "true"
    removed: str | None = None
    parent: str | None = None
    time: str | None = None
    recent: str | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the primary key."""
        return tuple(column.name for column in metadata.tables[self.table].primary_key)


RECENT_DAYS = 2
"""So many days before the step before an increment are told again where `recent` is set."""

PARTS = (
    Part("accounts"),
    Part("api_keys"),
    Part("attachments"),
    Part("attachment_chunks", growing=True, parent="attachments"),
    Part("audit_log", growing=True),
    Part("enterprise_steps"),
    Part("enterprises"),
    Part("identifier_history", growing=True),
    Part(
        "identifiers",
        growing=True,
        # Whatever deletes a row, a trigger keeps what it said.
        removed="SELECT DISTINCT h.prefix, h.suffix_key FROM identifier_history AS h"
        " WHERE {changed} AND NOT EXISTS (SELECT FROM identifiers AS i"
        " WHERE i.prefix = h.prefix AND i.suffix_key = h.suffix_key)",
    ),
    Part("import_mappings"),
    Part("log_entries", growing=True),
    Part("log_heads", growing=True),
    Part("log_nodes", growing=True),
    Part("outbox", where="delivered_at IS NULL"),
    Part("partner_groups"),
    Part("prefix_steps"),
    Part("prefix_transfers"),
    Part("prefixes"),
    Part("range_exceptions", growing=True),
    Part("range_history", growing=True),
    Part("ranges"),
    Part("registration_changes"),
    Part("registration_hours", growing=True, time="hour"),
    Part("registration_totals"),
    Part("relations", growing=True),
    Part("reports"),
    Part("reserved_numbers"),
    Part("resolution_hours", growing=True, time="hour"),
    Part("resolution_sources"),
    Part("site_checks"),
    Part("snms_users"),
    Part("templates"),
    Part("top_names", growing=True, time="day", recent="day"),
    Part("top_sources"),
)

LEFT_OUT = {
    "alembic_version": "written by the migrations of the restored node",
    "change_log": "what caches must forget; a restored node begins with none",
    "handle_challenges": "under way at the moment, for seconds",
    "handle_http_sessions": "whoever is signed in signs in again",
    "handle_sessions": "whoever is signed in signs in again",
    "idempotency_keys": "answers to requests that may be sent again, for a day",
    "import_chunks": "files under way; what they have registered is in the escrow",
    "import_errors": "rows that were refused, for who sent the file",
    "imports": "work on files; the audit log says what was done",
    "password_resets": "one-time tokens",
    "sessions": "whoever is signed in signs in again",
    "sign_in_attempts": "counted for minutes",
    "snms_tokens": "whoever is signed in signs in again",
}
"""Tables that are not in the escrow, each with the reason."""
