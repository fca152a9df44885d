"""The identifiers that are measured: two values each, every answer of the same size.

One is made from another by its number alone, so that every answer can be checked, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from protocol import json_api
from protocol.values import HandleValue

DIGITS = 8
_PLACE = "0" * DIGITS
_TIMESTAMP = 1_767_225_600  # 2026-01-01T00:00:00Z


def values(number: str = _PLACE, first: int = 1) -> tuple[HandleValue, ...]:
    """Return the two values of the identifier with this number; without one, their pattern.

    first: the lower of their indexes.
    """
    return (
        HandleValue(
            first,
            "URL",
            f"https://trace.example.com/product/{number}".encode(),
            timestamp=_TIMESTAMP,
        ),
        HandleValue(
            first + 1,
            "PRODUCT",
            f"Bearing 6204-2RS, batch 2026-01, number {number}".encode(),
            timestamp=_TIMESTAMP,
        ),
    )


def number(n: int) -> str:
    """Return `n` as it stands in names and values."""
    return f"{n:0{DIGITS}d}"


def name(prefix: str, n: int) -> str:
    """Return the identifier with number `n`."""
    return f"{prefix}/SN-{number(n)}"


def body(prefix: str, n: int) -> bytes:
    """Return the answer that a resolver must give for it."""
    return json_api.answer(name(prefix, n), values(number(n)))


class Bodies:
    """The same answers, made fast: the pattern with the number put in."""

    def __init__(self, prefix: str) -> None:
        pattern = json_api.answer(f"{prefix}/SN-{_PLACE}", values())
        self._pattern, self._place = pattern, _PLACE.encode()

    def __getitem__(self, n: int) -> bytes:
        return self._pattern.replace(self._place, number(n).encode())


def values_json(number: str = _PLACE) -> str:
    """Return the values as the column identifiers.values holds them."""
    return msgspec.json.encode([json_api.encode_value(v) for v in values(number)]).decode()


COPY_COLUMNS = ("prefix", "suffix_key", "suffix", "values")


def copy_text(prefix: str, numbers: range, *, batch: int = 10_000) -> Iterator[bytes]:
    """Yield the rows in PostgreSQL's text format for COPY_COLUMNS, `batch` rows at a time."""
    line = f"{prefix}\tSN-{_PLACE}\tSN-{_PLACE}\t{values_json()}\n"
    for start in range(0, len(numbers), batch):
        rows = (line.replace(_PLACE, number(n)) for n in numbers[start : start + batch])
        yield "".join(rows).encode()


TEMPLATE = "product"
FIRST_ITEM = 2000
ITEMS = [
    {
        "index": FIRST_ITEM,
        "type": "URL",
        "name": "追溯地址",
        "required": True,
        "data": {"kind": "url", "max_length": 100},
    },
    {
        "index": FIRST_ITEM + 1,
        "type": "PRODUCT",
        "name": "产品",
        "required": True,
        "data": {"kind": "string", "min_length": 1, "max_length": 100},
    },
]
"""A template of the same values, with these indexes."""


def ndjson(prefix: str, numbers: range, *, batch: int = 10_000, first: int = 1) -> Iterator[bytes]:
    """Yield the same rows as lines of an import file, `batch` rows at a time.

    first: see `values`.
    """
    item = {
        "identifier": f"{prefix}/SN-{_PLACE}",
        "values": [_without_timestamp(value) for value in values(first=first)],
    }
    line = msgspec.json.encode(item).decode() + "\n"
    for start in range(0, len(numbers), batch):
        rows = (line.replace(_PLACE, number(n)) for n in numbers[start : start + batch])
        yield "".join(rows).encode()


def registration(data: str) -> bytes:
    """Return a PUT body of two values, the first of them a URL that ends in `data`."""
    return msgspec.json.encode({"values": [_without_timestamp(value) for value in values(data)]})


def _without_timestamp(value: HandleValue) -> dict[str, object]:
    encoded = json_api.encode_value(value)
    del encoded["timestamp"]  # the registry sets it
    return encoded
