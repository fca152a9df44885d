"""idnode user, idnode key: who may do what. They work on the database itself."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click
import sqlalchemy.exc
from asyncpg import UndefinedTableError
from sqlalchemy.ext.asyncio import AsyncConnection

from admin.commands.options import json_option, settings_options
from admin.commands.store import database_url
from admin.settings import Settings
from admin.words import Failure, say, show, words
from protocol.errors import IdnodeError
from registry.database import Database
from registry.principals import OPERATOR, REVIEWER, create_operator, issue_key

Result = TypeVar("Result")


@click.group(help=words("Operators and reviewers.", "操作员与审核员。"))
def user() -> None:
    """Hold the commands on users."""


@user.command(
    "add", help=words("Make a user and print the token, once.", "新建用户并显示一次令牌。")
)
@click.argument("name")
@click.option("--role", type=click.Choice([OPERATOR, REVIEWER]), required=True)
@json_option
@settings_options("data_dir")
def add_user(
    settings: Settings,
    read_settings: Callable[[], Settings],
    *,
    name: str,
    role: str,
    as_json: bool,
) -> None:
    """Make a user and print the token."""
    del read_settings
    token = _in_transaction(settings, lambda connection: create_operator(connection, name, role))
    show({"name": name, "role": role, "token": token}, token, as_json=as_json)
    _shown_once()


@click.group(help=words("Keys of enterprises.", "企业密钥。"))
def key() -> None:
    """Hold the commands on keys."""


@key.command("issue", help=words("Make a key and print it, once.", "签发密钥并显示一次。"))
@click.argument("enterprise_id", type=click.UUID)
@click.option("--label", help="What it is for.")
@json_option
@settings_options("data_dir")
def issue(
    settings: Settings,
    read_settings: Callable[[], Settings],
    *,
    enterprise_id: uuid.UUID,
    label: str | None,
    as_json: bool,
) -> None:
    """Make a key of an enterprise and print it."""
    del read_settings
    key_id, token = _in_transaction(
        settings, lambda connection: issue_key(connection, enterprise_id, label)
    )
    show(
        {"id": str(key_id), "enterprise_id": str(enterprise_id), "label": label, "key": token},
        token,
        as_json=as_json,
    )
    _shown_once()


def _shown_once() -> None:
    say("Keep it: it is stored hashed and not shown again.", "请妥善保存:仅存散列值,不再显示。")


def _in_transaction(
    settings: Settings, work: Callable[[AsyncConnection], Awaitable[Result]]
) -> Result:
    async def run(url: str) -> Any:
        database = Database(url, pool_size=1)
        try:
            async with database.begin() as connection:
                return await work(connection)
        finally:
            await database.close()

    with database_url(settings) as url:
        try:
            result: Result = asyncio.run(run(url))
        except IdnodeError as error:
            place = f"{error.field}: " if error.field else ""
            raise Failure(f"{place}{error.detail}") from error
        except sqlalchemy.exc.ProgrammingError as error:
            if error.orig is None or not isinstance(error.orig.__cause__, UndefinedTableError):
                raise
            raise Failure(
                "the database has no tables yet: run idnode migrate first",
                "数据库尚无数据表:请先运行 idnode migrate",
            ) from error
    return result
