"""The states of an enterprise.

filed -> under_review -> approved | rejected;  rejected -> filed;  approved <-> suspended;
any -> closed, which is final.
"""

from __future__ import annotations

FILED, UNDER_REVIEW, APPROVED = "filed", "under_review", "approved"
REJECTED, SUSPENDED, CLOSED = "rejected", "suspended", "closed"

STATES = (FILED, UNDER_REVIEW, APPROVED, REJECTED, SUSPENDED, CLOSED)

OPEN = (FILED, UNDER_REVIEW)
"""States in which a filing waits for a decision."""

CORRECTABLE = (FILED, REJECTED)
"""States in which an enterprise may correct what it has filed."""
