"""Every sentence that refuses something over HTTP is there in Chinese."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol import errors
from registry.api.messages_zh import MAX_TRANSLATED, SENTENCES, translate

ROOT = Path(__file__).parents[2]
_ERRORS = {
    name
    for name, each in vars(errors).items()
    if isinstance(each, type) and issubclass(each, errors.IdnodeError)
}
_PROTOCOL = ("identifier", "json_api", "typed", "values")
# Sentences that are put together before they are raised, by the variable that holds them.
_HELD = {
    "fault.reason": ("registry/imports/mapping.py", "what the checker of the template says"),
    "sentence": ("registry/reading.py", "tests/unit/test_reading.py has them all"),
    "unknown": ("registry/accounts/keys.py", "no enterprise, no account"),
    "kept": ("registry/imports/templates.py", "why a template cannot be used"),
    "str(error)": ("protocol/values.py", "what Identifier.parse says"),
    "error.detail": ("registry/access.py", "what Identifier.parse says"),
}


def _files() -> Iterator[Path]:
    yield from sorted((ROOT / "registry").rglob("*.py"))
    # The Handle protocol has no language.
    stub = (ROOT / "resolver" / "federation" / "toplevel").glob("*.py")
    yield from sorted(file for file in stub if file.name != "handle.py")
    yield ROOT / "resolver" / "federation" / "certificates.py"
    for name in _PROTOCOL:
        yield ROOT / "protocol" / f"{name}.py"


def _raised(file: Path) -> Iterator[tuple[int, ast.expr]]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in _ERRORS:
                yield node.lineno, node.args[0]


def _sentences(argument: ast.expr) -> list[str]:
    """Return the sentences that an argument may be, with {} for what is put into them."""
    if isinstance(argument, ast.IfExp):
        return _sentences(argument.body) + _sentences(argument.orelse)
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return [argument.value]
    if isinstance(argument, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in argument.values)
        return ["".join(map(str, parts))]
    return []


def test_every_sentence_in_the_code_has_its_chinese() -> None:
    missing, unreadable = [], []
    for file in _files():
        place = file.relative_to(ROOT).as_posix()
        for line, argument in _raised(file):
            found = _sentences(argument)
            missing += [f"{place}:{line}: {text}" for text in found if text not in SENTENCES]
            held = _HELD.get(ast.unparse(argument), ("", ""))[0]
            if not found and held != place:
                unreadable.append(f"{place}:{line}: {ast.unparse(argument)}")
    assert not missing, "add to registry/api/messages_zh:\n" + "\n".join(missing)
    assert not unreadable, "raise errors with the sentence itself:\n" + "\n".join(unreadable)


def test_every_rule_of_a_template_has_its_chinese() -> None:
    """What breaks one is told by Breach (the end of a sentence) and Fault, not by an error."""
    told = set()
    for file in (ROOT / "registry" / "templates").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Breach", "Fault"):
                (sentence,) = _sentences(node.args[-1])
                told.add(f"{{}} {sentence}" if len(node.args) == 2 else sentence)
    told.remove("{} {}")  # where both are put together
    assert len(told) > 20
    assert told - set(SENTENCES) == set()


_TOLD_OF_FILES = {"RowError": 1, "Unreadable": 0, "CellError": 0, "refuse": 2, "refuse_prefix": 2}
"""Calls that tell why a row or a file is not taken -> which argument is the sentence."""


def test_every_reason_why_a_row_or_a_file_is_not_taken_has_its_chinese() -> None:
    told: set[str] = set()
    for file in (ROOT / "registry" / "imports").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                at = _TOLD_OF_FILES.get(name, len(node.args))
                told.update(*(_sentences(each) for each in node.args[at : at + 1]))
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "reason":
                told.update(_sentences(node.value))
            elif isinstance(node, ast.FunctionDef) and node.name == "_why_not":
                returned = [each for each in ast.walk(node) if isinstance(each, ast.Return)]
                told.update(*(_sentences(each.value) for each in returned if each.value))
    assert len(told) > 60
    assert sorted(told - set(SENTENCES)) == []


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_becomes_its_own_chinese_with_what_was_put_into_it(sentence: str) -> None:
    holes = sentence.count("{}")
    given = [f"〈{number}〉" for number in range(holes)]
    assert translate(sentence.format(*given)) == SENTENCES[sentence].format(*given)
    for each in given:
        assert each in SENTENCES[sentence].format(*given), "what was put in is lost"


def test_words_of_ours_are_translated_where_they_stand_in_a_sentence() -> None:
    assert translate("only for operator or the enterprise itself") == "仅限运营人员、企业本身操作"
    assert translate("prefix 88.118.35 is suspended, not active") == "前缀 88.118.35 已暂停,未启用"
    assert translate("no such sentence at all") == "no such sentence at all"


def test_what_an_inner_rule_says_is_translated_within_the_outer_sentence() -> None:
    said = translate("no data of HS_ADMIN: the data ends too soon")
    assert said == "不是 HS_ADMIN 的数据:数据不完整"


def test_what_a_client_has_sent_cannot_make_the_look_up_slow_or_fail() -> None:
    for hostile in ("{} {0} {x}", " is " * 140, "prefix " * 80, "x" * (MAX_TRANSLATED + 1)):
        assert translate(f"{hostile} is not registered")
