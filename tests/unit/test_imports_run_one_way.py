"""protocol <- registry <- resolver <- admin: no package imports one that stands above it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ORDER = ("protocol", "registry", "resolver", "admin")
OUTSIDE = {"tests", "benchmarks"}
# What protocol must not have: it is pure functions and values.
IMPURE = {"asyncio", "socket", "ssl", "os", "time", "random", "secrets", "sqlalchemy", "asyncpg"}


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("package", ORDER)
def test_no_package_imports_one_above_it(package: str) -> None:
    above = {*ORDER[ORDER.index(package) + 1 :], *OUTSIDE}
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = [
        (str(path.relative_to(ROOT)), name)
        for path in files
        for name in _imports(path)
        if name in above
    ]
    assert wrong == []


def test_protocol_does_no_input_or_output() -> None:
    wrong = [
        (path.name, name)
        for path in sorted((ROOT / "protocol").rglob("*.py"))
        for name in _imports(path)
        if name in IMPURE
    ]
    assert wrong == []
