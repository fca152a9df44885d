"""What a person reads on a terminal: Chinese where LANG asks for it, English elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping

import click
import msgspec


def chinese(environment: Mapping[str, str] | None = None) -> bool:
    """Whether the locale of messages (POSIX: LC_ALL, LC_MESSAGES, LANG) is Chinese."""
    environment = os.environ if environment is None else environment
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environment.get(name):
            return environment[name].lower().startswith("zh")
    return False


def words(english: str, chinese_text: str) -> str:
    """Return the one of both that the person reads."""
    return chinese_text if chinese() else english


def say(english: str, chinese_text: str) -> None:
    """Print a line for a person, on standard error: standard output is for results."""
    click.echo(words(english, chinese_text), err=True)


def show(value: object, text: str, *, as_json: bool) -> None:
    """Print a result: `value` as JSON for programs, else `text`."""
    click.echo(msgspec.json.encode(value).decode() if as_json else text)


class Failure(click.ClickException):
    """The command failed: one line, exit code 1."""

    def __init__(self, english: str, chinese_text: str | None = None) -> None:
        super().__init__(words(english, chinese_text or english))
