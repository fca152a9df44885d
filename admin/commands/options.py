"""Options that commands share: the settings as flags, --json, --token."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from admin import datadir, settings
from admin.datadir import DataDirectoryError
from admin.settings import SECRET, Settings, SettingsError
from admin.words import Failure

Command = TypeVar("Command", bound=Callable[..., Any])

ALL = tuple(name for name in Settings.__struct_fields__ if name not in SECRET)
"""Settings that may be flags: a secret would show in the list of processes."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

token_option = click.option(
    "--token",
    envvar="IDNODE_TOKEN",
    help="Bearer token; better given as IDNODE_TOKEN. Default: the bootstrap token of this node.",
)


def settings_options(*names: str) -> Callable[[Command], Command]:
    """Give a command the settings `names` as flags; it gets `settings` and `read_settings`.

    A wrong setting ends the command with exit code 2.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_settings(**arguments: Any) -> Any:
            given = {name: arguments.pop(name) for name in names}
            flags = {name: value for name, value in given.items() if value is not None}
            read = functools.partial(settings.load, flags=flags)
            try:
                loaded = read()
            except SettingsError as error:
                raise click.UsageError(str(error)) from error
            return command(settings=loaded, read_settings=read, **arguments)

        result: Any = with_settings
        for name in reversed(names):
            flag = "--" + name.replace("_", "-")
            result = click.option(flag, name, help=f"Instead of IDNODE_{name.upper()}.")(result)
        decorated: Command = result
        return decorated

    return decorate


def bearer_token(given: str | None, settings: Settings) -> str:
    """Return the token to show: the one given, else the bootstrap token of the node here.

    Raises Failure.
    """
    try:
        token = given or datadir.find_bootstrap_token(settings)
    except DataDirectoryError as error:
        raise Failure(str(error)) from error
    if token is None:
        raise Failure(
            "no token: give --token or IDNODE_TOKEN, or start the node first",
            "没有令牌:请给出 --token 或 IDNODE_TOKEN,或先启动节点",
        )
    return token
