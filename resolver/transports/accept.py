"""Choice of a representation by Accept (RFC 9110 section 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence

_MOST_RANGES = 32


def choose(accept: str | None, offers: Sequence[str]) -> str:
    """Return the offer that `accept` likes best, the first among equals and if it likes none.

    Serving something rather than 406 is what RFC 9110 section 15.5.7 allows, and what a scanner
    with a careless header needs.
    """
    if not accept:
        return offers[0]
    ranges = [_range(part) for part in accept.split(",")[:_MOST_RANGES]]
    return max(offers, key=lambda offer: _quality(offer, ranges))


def _range(part: str) -> tuple[str, float]:
    media, *parameters = (piece.strip() for piece in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return media.lower(), min(max(float(value), 0.0), 1.0)
            except ValueError:
                return media.lower(), 0.0
    return media.lower(), 1.0


def _quality(offer: str, ranges: list[tuple[str, float]]) -> float:
    family = offer.partition("/")[0] + "/*"
    for candidate in (offer, family, "*/*"):
        for media, quality in ranges:
            if media == candidate:
                return quality
    return 0.0
