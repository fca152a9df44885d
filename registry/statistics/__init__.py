"""What was registered and what was asked for, by hour.

Resolutions are counted by each worker in a file that outlives it (`cells`), and written to
PostgreSQL every few seconds, each count once (`flush`). Registrations are noted by triggers in the
transaction that makes them, and added up by the jobs process (`registrations`). Which identifiers
are asked for most is estimated by each worker (`sketch`, `top`).
"""

from __future__ import annotations

import datetime

HOUR_SECONDS = 3600

CHINA = datetime.timezone(datetime.timedelta(hours=8))
"""Days are those of China: UTC+8, all the year."""

NOWHERE = ""
"""Stands for the prefix where a name is under none that is served here."""


def hour_of(seconds: float) -> datetime.datetime:
    """Return the hour, in UTC, that a time in Unix seconds lies in."""
    return datetime.datetime.fromtimestamp(seconds // HOUR_SECONDS * HOUR_SECONDS, datetime.UTC)


def day_of(seconds: float) -> datetime.date:
    """Return the day that a time in Unix seconds lies in."""
    return datetime.datetime.fromtimestamp(seconds, CHINA).date()
