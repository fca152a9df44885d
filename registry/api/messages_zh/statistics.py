"""Statistics."""

from __future__ import annotations

SENTENCES = {
    "before the year 2000": "早于 2000 年",
    "comes after to": "晚于 to",
    "more than {} days before to": "早于 to 超过 {} 天",
    "more than {} days": "超过 {} 天",
}
