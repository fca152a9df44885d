r"""What of a line of the audit log is in the tree: every column, as one JSON text.

The text is an object with the members of COLUMNS, as PostgreSQL writes jsonb: members in the order
of the length of their names in UTF-8, then of their bytes; ", " and ": " between them; only `"`,
`\`, and characters below U+0020 escaped; numbers as they were written. `at` is the time in Unix
seconds with six decimals, so that no time zone or style of dates comes into it. Two lines that
differ in any column have different texts.
"""

from __future__ import annotations

COLUMNS = ("seq", "at", "actor", "action", "subject", "detail", "request_id")

_VALUES = {"at": "extract(epoch FROM a.at)"}

TEXT = "jsonb_build_object({})::text".format(
    ", ".join(f"'{name}', {_VALUES.get(name, f'a.{name}')}" for name in COLUMNS)
)
"""SQL: the text of a line `a`."""

HASH = f"sha256(decode('00', 'hex') || convert_to({TEXT}, 'UTF8'))"
"""SQL: protocol.merkle.leaf_hash of the text, so that lines need not leave the database for it."""
