"""What a check of the audit log has found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

MAX_FINDINGS = 1000
"""Findings that are kept; there may be more."""


class Kind(StrEnum):
    """What is wrong. Lines are named by their `seq`, leaves by their place in the tree."""

    ALTERED = "altered"
    """A line does not say what it said when it was taken into the tree."""
    DELETED = "deleted"
    """A line of the tree is gone."""
    INSERTED = "inserted"
    """A line stands among settled ones that was never taken into the tree."""
    REORDERED = "reordered"
    """A line stands where another one was: `other` is the number that it had."""
    ENTRY = "entry"
    """Leaves are missing from the tree, or there twice."""
    NODE = "node"
    """Leaves are not those over which the tree was built."""
    HEAD = "head"
    """The tree is not the one that was signed; what differs lies in these leaves."""
    SHRUNK = "shrunk"
    """A head was signed over more leaves than there are."""
    SIGNATURE = "signature"
    """A head is not signed by the key that it names."""
    KEY = "key"
    """A head is signed by another key than the one given."""
    ORDER = "order"
    """A head is older than the one before it."""
    UNGUARDED = "unguarded"
    """A table has lost the trigger that keeps it from being altered: `table`."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. first, last: leaves. timestamp: of a head, milliseconds."""

    kind: Kind
    seq: int | None = None
    other: int | None = None
    first: int | None = None
    last: int | None = None
    timestamp: int | None = None
    table: str | None = None


@dataclass
class Report:
    """What was looked at, and what is wrong with it.

    entries: leaves of the tree. signed: how many of them the newest head covers. heads: that were
    checked. waiting: lines that are not in the tree yet. log_ids: keys that signed, hexadecimal.
    more: whether there are more findings than are listed.
    """

    entries: int = 0
    signed: int = 0
    heads: int = 0
    waiting: int = 0
    log_ids: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    more: bool = False

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def add(self, finding: Finding) -> None:
        """Keep a finding, if there is room."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)
        else:
            self.more = True

    def of(self, kind: Kind) -> Iterator[Finding]:
        """Return the findings of a kind."""
        return (each for each in self.findings if each.kind is kind)
