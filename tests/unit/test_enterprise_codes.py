"""The tables of industries and regions hold together, and what is not in them is refused."""

from __future__ import annotations

import collections

import pytest

from protocol.errors import InvalidValue
from registry.enterprises import codes


def test_industries_are_the_whole_of_the_standard_and_each_stands_in_another() -> None:
    known = codes.industries()
    levels = collections.Counter(len(code) for code in known)
    assert (levels[1], levels[3], levels[4]) == (20, 97, 473), "GB/T 4754-2017 counts so many"
    assert levels[5] == 1381
    for code, industry in known.items():
        assert (industry.parent is None) == (len(code) == 1), code
        assert industry.parent is None or industry.parent in known, code
        assert industry.name == industry.name.strip() != "", code
        assert (industry.name_en is None) == (len(code) > 3), code
    assert known["C3441"].name == "泵及真空设备制造"
    assert known["A05"].name == "农、林、牧、渔专业及辅助性活动", "as of 2017, not of 2011"


def test_regions_stand_in_each_other() -> None:
    known = codes.regions()
    assert sum(region.parent is None for region in known.values()) == 34
    for code, region in known.items():
        assert len(code) == 6
        assert code.isdecimal()
        assert (region.parent is None) == code.endswith("0000"), code
        assert region.parent is None or region.parent in known, code
    assert (known["350211"].name, known["350211"].parent) == ("集美区", "350200")
    assert known["110101"].parent == "110000", "a municipality has no prefectures"


@pytest.mark.parametrize("code", ["C3441", "3441"])
def test_the_letter_of_an_industry_may_be_left_out(code: str) -> None:
    assert codes.check_industry(code) == "C3441"


@pytest.mark.parametrize(
    "code", ["", "c3441", "C3449", "A3441", "C34410", "99", "٣٤٤١", "C 3441", "C3441\n", "U"]
)
def test_what_is_no_industry_is_refused(code: str) -> None:
    with pytest.raises(InvalidValue, match="GB/T 4754"):
        codes.check_industry(code)


@pytest.mark.parametrize("code", ["", "35", "350299", "000000", "350211 ", "３５０２１１"])
def test_what_is_no_region_is_refused(code: str) -> None:
    with pytest.raises(InvalidValue, match="GB/T 2260"):
        codes.check_region(code)


@pytest.mark.parametrize(
    ("code", "begins"), [("350000", "35"), ("350200", "3502"), ("350211", "350211")]
)
def test_codes_in_a_region_begin_alike(code: str, begins: str) -> None:
    assert codes.region_prefix(code) == begins
