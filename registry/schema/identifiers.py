"""Tables of identifiers, and of what is said of them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from registry.schema.columns import Bytes, Name, Text, Time, begun, created, metadata, updated

identifier_version = sa.Sequence("identifier_version", metadata=metadata)
"""Versions of identifiers: never the same number twice, so that an ETag never comes back."""

identifiers = sa.Table(
    "identifiers",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("suffix_key", Name, primary_key=True),
    sa.Column("suffix", Name, nullable=False),
    sa.Column("values", pg.JSONB, nullable=False),
    sa.Column("template", Text),
    sa.Column(
        "version", sa.BigInteger, nullable=False, server_default=identifier_version.next_value()
    ),
    sa.Column("created_at", Time, nullable=False, server_default=begun),
    sa.Column("updated_at", Time, nullable=False, server_default=begun),
    sa.Column("actor", Text, server_default=sa.func.current_writer()),
)
"""`suffix_key` is the canonical suffix (protocol.identifier.fold), `suffix` the spelling
registered, `values` a list of Handle JSON values; `actor` wrote this version."""

identifier_history = sa.Table(
    "identifier_history",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("suffix_key", Name, primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("suffix", Name, nullable=False),
    sa.Column("values", pg.JSONB, nullable=False),
    sa.Column("template", Text),
    sa.Column("valid_from", Time, nullable=False),
    sa.Column("valid_to", Time, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("actor", Text),
    sa.Column("ended_by", Text),
)
"""What an identifier said before; written by a trigger whoever makes the change. The version
that holds now stands in `identifiers` alone. A version held from `valid_from`, included, until
`valid_to`, not included."""

partner_groups = sa.Table(
    "partner_groups",
    metadata,
    sa.Column(
        "enterprise_id", pg.UUID(as_uuid=True), sa.ForeignKey("enterprises.id"), primary_key=True
    ),
    sa.Column("name", Name, primary_key=True),
    sa.Column("members", pg.ARRAY(Name), nullable=False),
    sa.Column(
        "version", sa.BigInteger, nullable=False, server_default=identifier_version.next_value()
    ),
    created(),
    updated(),
    sa.Index("partner_groups_members", "members", postgresql_using="gin"),
)
"""Partners under one name, kept by the enterprise whose values name them; see registry/access.py.
`members` are enterprises and identities in their canonical form."""

relation_version = sa.Sequence("relation_version", metadata=metadata)

relations = sa.Table(
    "relations",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("suffix_key", Name, primary_key=True),
    sa.Column("kind", Text, primary_key=True),
    sa.Column(
        "version",
        sa.BigInteger,
        primary_key=True,
        autoincrement=False,
        server_default=relation_version.next_value(),
    ),
    sa.Column("target_prefix", Name, nullable=False),
    sa.Column("target_suffix_key", Name, nullable=False),
    sa.Column("suffix", Name, nullable=False),
    sa.Column("target", Name, nullable=False),
    sa.Column("audience", Text, nullable=False),
    sa.Column("valid_from", Time, nullable=False, server_default=begun),
    sa.Column("valid_to", Time),
    sa.Column("actor", Text, server_default=sa.func.current_writer()),
    sa.Column("ended_by", Text),
    sa.Index(
        "relations_holding",
        "prefix",
        "suffix_key",
        "kind",
        "target_prefix",
        "target_suffix_key",
        unique=True,
        postgresql_where=sa.text("valid_to IS NULL"),
    ),
    sa.Index("relations_target", "target_prefix", "target_suffix_key", "kind", "version"),
)
"""Statements of the owner of (prefix, suffix_key) about a target: registry/relations. Without
`valid_to` it holds. `suffix` and `target` are the spellings in which it was made."""

ranges = sa.Table(
    "ranges",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("head", Name, primary_key=True),
    sa.Column("width", sa.SmallInteger, primary_key=True),
    sa.Column("first", sa.BigInteger, primary_key=True),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column(
        "id", pg.UUID(as_uuid=True), nullable=False, server_default=sa.func.gen_random_uuid()
    ),
    sa.Column("spelling", Name, nullable=False),
    sa.Column("values", pg.JSONB, nullable=False),
    sa.Column("substitute", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("template", Text),
    sa.Column(
        "version", sa.BigInteger, nullable=False, server_default=identifier_version.next_value()
    ),
    sa.Column("created_at", Time, nullable=False, server_default=begun),
    sa.Column("updated_at", Time, nullable=False, server_default=begun),
    sa.Column("actor", Text, server_default=sa.func.current_writer()),
    sa.UniqueConstraint("prefix", "id"),
)
"""Identifiers that differ in the number at their end: `head` (canonical; as registered in
`spelling`) and a number of `width` digits from `first` to `last`, all with the same `values`."""

range_history = sa.Table(
    "range_history",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("id", pg.UUID(as_uuid=True), primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("head", Name, nullable=False),
    sa.Column("width", sa.SmallInteger, nullable=False),
    sa.Column("first", sa.BigInteger, nullable=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column("spelling", Name, nullable=False),
    sa.Column("values", pg.JSONB, nullable=False),
    sa.Column("substitute", sa.Boolean, nullable=False),
    sa.Column("template", Text),
    sa.Column("valid_from", Time, nullable=False),
    sa.Column("valid_to", Time, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("actor", Text),
    sa.Column("ended_by", Text),
    sa.Index("range_history_head", "prefix", "head", "width"),
)
"""What ranges said before; written by a trigger."""

range_exceptions = sa.Table(
    "range_exceptions",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("suffix_key", Name, primary_key=True),
    sa.Column("range_id", pg.UUID(as_uuid=True), primary_key=True),
    sa.Column("created_at", Time, nullable=False, server_default=begun),
)
"""Members that were deleted from their range; written by a trigger on `identifiers`."""

template_revision = sa.Sequence("template_revision", metadata=metadata)
"""Revisions of templates, of which their ETags are made."""

templates = sa.Table(
    "templates",
    metadata,
    sa.Column("prefix", Name, primary_key=True),
    sa.Column("name_key", Name, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", Name, nullable=False),
    sa.Column("state", Text, nullable=False, server_default="draft"),
    sa.Column("definition", pg.JSONB, nullable=False),
    sa.Column("digest", Bytes, nullable=False),
    sa.Column("reason", Text),
    sa.Column(
        "revision", sa.BigInteger, nullable=False, server_default=template_revision.next_value()
    ),
    created(),
    updated(),
    sa.Column("published_at", Time),
    sa.Column("withdrawn_at", Time),
    sa.Index(
        "templates_draft",
        "prefix",
        "name_key",
        unique=True,
        postgresql_where=sa.text("state = 'draft'"),
    ),
)
"""Versions of templates. `definition` is a registry.templates.definition.Definition, `digest` the
SHA-256 of its JSON. A version that is published never changes, which a trigger enforces."""
