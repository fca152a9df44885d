"""Codes that enterprises are filed by: industries (GB/T 4754-2017) and regions (GB/T 2260).

The files in data/ say where they come from and what of them is complete.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from protocol.errors import InvalidValue

_INDUSTRIES, _REGIONS = "gbt4754_2017.csv", "gbt2260.csv"


@dataclass(frozen=True)
class Code:
    """code: of an industry, the letter of the category and 0, 2, 3 or 4 digits, such as C3441; of a
    region, 6 digits. name_en: None where the file has none. parent: None at the top.
    """  # noqa: D205

    code: str
    name: str
    name_en: str | None
    parent: str | None


@functools.cache
def industries() -> Mapping[str, Code]:
    """Return the industries by code, in their order: a category before what is in it."""
    return {
        row[0]: Code(row[0], row[1], row[2] or None, _above(row[0])) for row in _rows(_INDUSTRIES)
    }


def _above(code: str) -> str | None:
    if len(code) == 1:
        return None
    return code[0] if len(code) == len("C34") else code[:-1]


@functools.cache
def regions() -> Mapping[str, Code]:
    """Return the regions by code: provinces, prefectures and counties, in order of their codes."""
    rows = [(code, name) for code, name in _rows(_REGIONS)]
    known = {code for code, _ in rows}
    return {code: Code(code, name, None, _around(code, known)) for code, name in rows}


def _around(code: str, known: set[str]) -> str | None:
    """Return the region that `code` is in; counties of municipalities have no prefecture."""
    above = (f"{code[:4]}00", f"{code[:2]}0000")
    return next((each for each in above if each != code and each in known), None)


def check_industry(code: str) -> str:
    """Return the code of an industry with its letter; 3441 stands for C3441.

    Raises InvalidValue.
    """
    if code in industries():
        return code
    if code.isdecimal():
        full = _lettered().get(code)
        if full is not None:
            return full
    raise InvalidValue("not a code of GB/T 4754-2017 such as C3441", field="industry")


@functools.cache
def _lettered() -> Mapping[str, str]:
    return {code[1:]: code for code in industries() if len(code) > 1}


def check_region(code: str) -> str:
    """Return `code` if it is one of a region. Raises InvalidValue."""
    if code not in regions():
        raise InvalidValue("not a code of GB/T 2260 such as 350200", field="region")
    return code


def region_prefix(code: str) -> str:
    """Return what the codes of a region and all in it begin with: 35 of 350000."""
    return (
        code.removesuffix("00").removesuffix("00")
        if code.endswith("0000")
        else code.removesuffix("00")
    )


def _rows(name: str) -> list[list[str]]:
    text = (resources.files(__package__) / "data" / name).read_text(encoding="utf-8")
    return list(csv.reader(line for line in text.splitlines() if not line.startswith("#")))
