"""idnode user, idnode key: who may do what. They work on the database itself."""

from __future__ import annotations

import asyncio
import datetime
import sys
import uuid
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
import sqlalchemy as sa
from asyncpg import UndefinedTableError

from admin.commands.options import json_option, settings_options
from admin.commands.store import database_url
from admin.settings import Settings
from admin.words import Failure, say, show, words
from protocol.errors import IdnodeError, NotFound
from registry.accounts import keys, passwords, people
from registry.accounts.keys import Owner
from registry.database import Database
from registry.principals import SCOPES, SYSTEM
from registry.schema import accounts
from registry.services import Work

Result = TypeVar("Result")


@click.group(help=words("Accounts of people.", "人员账户。"))
def user() -> None:
    """Hold the commands on accounts."""


@user.command(
    "add",
    help=words(
        "Make an account. Asks for the password; without a terminal, one is made and printed once.",
        "新建账户。提示输入密码;无终端时自动生成密码并显示一次。",
    ),
)
@click.argument("name")
@click.option("--role", type=click.Choice(people.ROLES), required=True)
@click.option("--enterprise", type=click.UUID, help="Of an administrator: the id.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@json_option
@settings_options("data_dir")
def add_user(
    settings: Settings,
    read_settings: Callable[[], Settings],
    *,
    name: str,
    role: str,
    enterprise: uuid.UUID | None,
    password_stdin: bool,
    as_json: bool,
) -> None:
    """Make an account and print its password if it was made here."""
    del read_settings
    given = _ask_password(from_stdin=password_stdin)
    password = given or passwords.generate()

    async def create(work: Work) -> str:
        hasher = passwords.Passwords()
        row = await people.create(
            work, hasher, name=name, role=role, enterprise_id=enterprise, password=password
        )
        return str(row.id)

    made = {"id": _in_transaction(settings, create), "name": name, "role": role}
    if given is not None:
        show(made, made["id"], as_json=as_json)
        return
    show({**made, "password": password}, password, as_json=as_json)
    _shown_once()


def _ask_password(*, from_stdin: bool) -> str | None:
    """Return the password that the person gives; None for one that is to be made."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        return None
    prompt = words("Password (none: one is made)", "密码(留空则自动生成)")
    given: str = click.prompt(
        prompt, default="", hide_input=True, show_default=False, confirmation_prompt=True, err=True
    )
    return given or None


@user.command(
    "reset",
    help=words(
        "End the locks of an account and print a one-time token that sets its password.",
        "解除账户锁定并显示一次性密码重置令牌。",
    ),
)
@click.argument("name")
@json_option
@settings_options("data_dir")
def reset_user(
    settings: Settings, read_settings: Callable[[], Settings], *, name: str, as_json: bool
) -> None:
    """Make a one-time token and print it."""
    del read_settings

    async def reset(work: Work) -> people.Reset:
        return await people.reset(work, await _account(work, name))

    made = _in_transaction(settings, reset)
    found = {"name": name, "token": made.token, "expires_at": made.expires_at.isoformat()}
    show(found, made.token, as_json=as_json)
    say("Give it to POST /api/v1/password-resets.", "请提交至 POST /api/v1/password-resets。")
    _shown_once()


@click.group(help=words("Keys of enterprises and accounts.", "企业与账户的密钥。"))
def key() -> None:
    """Hold the commands on keys."""


@key.command("issue", help=words("Make a key and print it, once.", "签发密钥并显示一次。"))
@click.argument("enterprise_id", type=click.UUID, required=False)
@click.option("--account", metavar="NAME", help="For an account of the node, not an enterprise.")
@click.option("--label", help="What it is for.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="Not for all.")
@click.option("--days", type=click.IntRange(1, 3650), help="How long it lives.")
@json_option
@settings_options("data_dir")
def issue(
    settings: Settings,
    read_settings: Callable[[], Settings],
    *,
    enterprise_id: uuid.UUID | None,
    account: str | None,
    label: str | None,
    scopes: tuple[str, ...],
    days: int | None,
    as_json: bool,
) -> None:
    """Make a key of an enterprise or an account and print it."""
    del read_settings
    if (enterprise_id is None) == (account is None):
        raise click.UsageError(
            words("give ENTERPRISE_ID or --account", "请给出 ENTERPRISE_ID 或 --account")
        )

    async def make(work: Work) -> tuple[str, str]:
        owner = Owner(
            enterprise_id=enterprise_id,
            account_id=None if account is None else await _account(work, account),
        )
        ends = None if days is None else work.now + datetime.timedelta(days=days)
        row, token = await keys.issue(
            work, owner, label=label, scopes=scopes or None, expires_at=ends
        )
        return str(row.id), token

    key_id, token = _in_transaction(settings, make)
    owner = {"account": account} if account else {"enterprise_id": str(enterprise_id)}
    show({"id": key_id, **owner, "label": label, "key": token}, token, as_json=as_json)
    _shown_once()


async def _account(work: Work, name: str) -> uuid.UUID:
    query = sa.select(accounts.c.id).where(
        accounts.c.name == name, accounts.c.status != people.DELETED
    )
    found: uuid.UUID | None = await work.connection.scalar(query)
    if found is None:
        raise NotFound(f"no account {name}")
    return found


def _shown_once() -> None:
    say("Keep it: it is stored hashed and not shown again.", "请妥善保存:仅存散列值,不再显示。")


def _in_transaction(settings: Settings, effect: Callable[[Work], Awaitable[Result]]) -> Result:
    """Do `effect` in the name of the node itself."""

    async def run(url: str) -> Result:
        database = Database(url, pool_size=1)
        try:
            async with database.begin() as connection:
                now = datetime.datetime.now(datetime.UTC)
                return await effect(Work(connection, SYSTEM, settings.prefix, now))
        finally:
            await database.close()

    with database_url(settings) as url:
        try:
            return asyncio.run(run(url))
        except IdnodeError as error:
            place = f"{error.field}: " if error.field else ""
            raise Failure(f"{place}{error.detail}") from error
        except sa.exc.ProgrammingError as error:
            if error.orig is None or not isinstance(error.orig.__cause__, UndefinedTableError):
                raise
            raise Failure(
                "the database has no tables yet: run idnode migrate first",
                "数据库尚无数据表:请先运行 idnode migrate",
            ) from error
