"""What the benchmarks expect as an answer is what a resolver makes of what they register."""

from __future__ import annotations

import json

import msgspec
import pytest

from benchmarks import sample
from benchmarks.report import Limit, Row
from protocol import json_api
from protocol.values import check_values
from registry.templates.checker import Checker, InvalidItem
from registry.templates.checks import check
from registry.templates.definition import Definition
from registry.templates.names import Reference


@pytest.mark.parametrize("n", [0, 7, 999_999, 99_999_999])
def test_expected_answer_is_that_of_the_values_that_are_filled_in(n: int) -> None:
    (part,) = sample.copy_text("88.118.1", range(n, n + 1))
    prefix, suffix_key, suffix, values = part.decode().rstrip("\n").split("\t")
    decoded = json_api.decode_values(json.loads(values))
    check_values(decoded)
    assert suffix_key == suffix
    assert json_api.answer(f"{prefix}/{suffix}", decoded) == sample.Bodies("88.118.1")[n]
    assert sample.Bodies("88.118.1")[n] == sample.body("88.118.1", n)


def test_answers_have_one_size() -> None:
    bodies = sample.Bodies("88.118.1")
    assert {len(bodies[n]) for n in (0, 1, 10, 12_345_678)} == {len(bodies[0])}


def test_import_file_and_copy_hold_the_same_rows() -> None:
    numbers = range(95, 125)
    lines = b"".join(sample.ndjson("88.118.1", numbers, batch=7)).splitlines()
    copied = b"".join(sample.copy_text("88.118.1", numbers, batch=10)).decode().splitlines()
    assert len(lines) == len(copied) == len(numbers)
    for line, row in zip(map(json.loads, lines), copied, strict=True):
        prefix, _, suffix, values = row.split("\t")
        assert line["identifier"] == f"{prefix}/{suffix}"
        stored = [{**value, "timestamp": None} for value in json.loads(values)]
        assert [{**value, "timestamp": None} for value in line["values"]] == stored


@pytest.mark.parametrize(
    ("limit", "ratio", "figure", "verdict"),
    [
        (Limit("ratio", ">=", 0.8), 0.8, 1.0, "met"),
        (Limit("ratio", ">=", 0.8), 0.79, 9.0, "missed"),
        (Limit("ratio", ">=", 0.8), None, 9.0, "not measured"),
        (Limit("figure", "<=", 100.0, "ms"), None, 100.0, "met"),
        (Limit("figure", "<=", 100.0, "ms"), None, 100.1, "missed"),
        (Limit("figure", "<=", 100.0, "ms"), None, None, "not measured"),
        (None, 0.1, 1.0, ""),
    ],
)
def test_verdict(
    limit: Limit | None, ratio: float | None, figure: float | None, verdict: str
) -> None:
    row = Row("key", "name", "unit", figure, ratio=ratio, limit=limit)
    assert row.verdict == verdict


def test_the_template_of_the_sample_takes_its_values() -> None:
    definition = msgspec.convert({"items": sample.ITEMS}, Definition)
    check(definition)
    checker = Checker(Reference(sample.TEMPLATE, 1), definition)
    checker.check(sample.values(sample.number(7), sample.FIRST_ITEM))
    with pytest.raises(InvalidItem):
        checker.check(sample.values(sample.number(7)))
