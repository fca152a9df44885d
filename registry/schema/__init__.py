"""The tables, as SQLAlchemy sees them. The truth is in migrations/; a test holds both equal.

Every table of an enterprise leads with its prefix in the primary key and in each unique key, so
that the registry can be partitioned by prefix without a change of code.
"""

from __future__ import annotations

from registry.schema.accounts import (
    accounts,
    api_keys,
    password_resets,
    sessions,
    sign_in_attempts,
    snms_tokens,
    snms_users,
)
from registry.schema.columns import Bytes, Name, Text, Time, metadata
from registry.schema.enterprises import (
    attachment_chunks,
    attachments,
    enterprise_steps,
    enterprises,
    prefix_steps,
    prefix_transfers,
    prefixes,
    reserved_numbers,
    site_checks,
)
from registry.schema.handle import handle_challenges, handle_http_sessions, handle_sessions
from registry.schema.identifiers import (
    identifier_history,
    identifier_version,
    identifiers,
    partner_groups,
    range_exceptions,
    range_history,
    ranges,
    relation_version,
    relations,
    template_revision,
    templates,
)
from registry.schema.imports import import_chunks, import_errors, import_mappings, imports
from registry.schema.logs import (
    audit_log,
    change_log,
    idempotency_keys,
    log_entries,
    log_heads,
    log_nodes,
    outbox,
    reports,
)
from registry.schema.statistics import (
    registration_changes,
    registration_hours,
    registration_totals,
    resolution_hours,
    resolution_sources,
    top_names,
    top_sources,
)

__all__ = [
    "Bytes",
    "Name",
    "Text",
    "Time",
    "accounts",
    "api_keys",
    "attachment_chunks",
    "attachments",
    "audit_log",
    "change_log",
    "enterprise_steps",
    "enterprises",
    "handle_challenges",
    "handle_http_sessions",
    "handle_sessions",
    "idempotency_keys",
    "identifier_history",
    "identifier_version",
    "identifiers",
    "import_chunks",
    "import_errors",
    "import_mappings",
    "imports",
    "log_entries",
    "log_heads",
    "log_nodes",
    "metadata",
    "outbox",
    "partner_groups",
    "password_resets",
    "prefix_steps",
    "prefix_transfers",
    "prefixes",
    "range_exceptions",
    "range_history",
    "ranges",
    "registration_changes",
    "registration_hours",
    "registration_totals",
    "relation_version",
    "relations",
    "reports",
    "reserved_numbers",
    "resolution_hours",
    "resolution_sources",
    "sessions",
    "sign_in_attempts",
    "site_checks",
    "snms_tokens",
    "snms_users",
    "template_revision",
    "templates",
    "top_names",
    "top_sources",
]
