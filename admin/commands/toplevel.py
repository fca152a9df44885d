"""idnode toplevel: the stub of the top-level node, and what its operator does with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, get_args

import aiohttp
import click
import msgspec
import uvloop

from admin import datadir, logs
from admin.commands.options import json_option, settings_options
from admin.settings import Settings
from admin.supervisor import StartError, address
from admin.toplevel import serve
from admin.words import Failure, show, words
from resolver.federation.toplevel import faults

_TIMEOUT = aiohttp.ClientTimeout(total=20)


@click.group(
    invoke_without_command=True,
    help=words("Run a stub of the top-level node.", "运行顶级节点桩。"),
)
@click.option("--lifeline", is_flag=True, hidden=True, help="End when standard input ends.")
@settings_options(
    "data_dir",
    "bind",
    "toplevel_port",
    "toplevel_https_port",
    "toplevel_handle_port",
    "toplevel_address",
    "toplevel_prefix",
    "log_level",
)
@click.pass_context
def toplevel(
    context: click.Context,
    settings: Settings,
    read_settings: Callable[[], Settings],
    *,
    lifeline: bool,
) -> None:
    """Run the stub, unless a command for its operator follows."""
    del read_settings
    context.obj = settings
    if context.invoked_subcommand is not None:
        return
    logs.configure(settings.log_level)
    try:
        uvloop.run(serve(settings, lifeline=lifeline))
    except StartError as error:
        raise Failure(str(error)) from error


@toplevel.command(
    "fault",
    help=words(
        "Let the running stub fail, for a rehearsal.", "让运行中的顶级节点桩发生故障,用于演练。"
    ),
)
@click.argument("fault", type=click.Choice(get_args(faults.Failure)))
@click.option("--at", type=click.Choice(get_args(faults.Place)), default="filings")
@click.option("--seconds", type=float, help="How long at most.")
@click.option("--count", type=int, help="For how many requests at most.")
@click.option("--delay", type=float, help="Seconds, of slow.")
@click.option("--status", type=int, help="HTTP status, of refuses.")
@json_option
@click.pass_obj
def fault_command(settings: Settings, /, *, as_json: bool, **given: Any) -> None:
    """Begin a fault."""
    body = {name: value for name, value in given.items() if value is not None}
    _show_faults(_call(settings, "POST", "/faults", body), as_json=as_json)


@toplevel.command("well", help=words("End all faults.", "结束所有故障。"))
@json_option
@click.pass_obj
def well(settings: Settings, /, *, as_json: bool) -> None:
    """End all faults."""
    _show_faults(_call(settings, "DELETE", "/faults"), as_json=as_json)


@toplevel.command(
    "invite",
    help=words(
        "Print, once, a token with which a node may enrol.",
        "签发节点登记用的一次性令牌,仅显示一次。",
    ),
)
@click.option("--prefix", "node", required=True, help="Of the node, such as 88.118.")
@click.option("--seconds", type=float, help="How long the token works. Default: a day.")
@json_option
@click.pass_obj
def invite(settings: Settings, /, *, node: str, seconds: float | None, as_json: bool) -> None:
    """Print a token with which a node may enrol."""
    body = {"node": node} | ({} if seconds is None else {"seconds": seconds})
    answer = _call(settings, "POST", "/invitations", body)
    show(answer, answer["token"], as_json=as_json)


@toplevel.command(
    "revoke",
    help=words("Trust the certificates of a node no longer.", "吊销某节点的证书。"),
)
@click.option("--prefix", "node", required=True, help="Of the node, such as 88.118.")
@click.option("--serial", help="Of one certificate. Default: all, and open invitations.")
@json_option
@click.pass_obj
def revoke(settings: Settings, /, *, node: str, serial: str | None, as_json: bool) -> None:
    """Revoke certificates of a node."""
    body = {"node": node} | ({} if serial is None else {"serial": serial})
    answer = _call(settings, "POST", "/revocations", body)
    number = answer["certificates"]
    text = words(f"Revoked: {number}", f"已吊销 {number} 张证书。")
    show(answer, text, as_json=as_json)


def _show_faults(answer: Mapping[str, Any], *, as_json: bool) -> None:
    lines = [
        f"{one['at']}: {one['fault']}, {one['seconds']:.0f} s, {one['count']}x"
        for one in answer["items"]
    ]
    show(dict(answer), "\n".join(lines) or words("No faults.", "无故障。"), as_json=as_json)


def _call(
    settings: Settings, method: str, path: str, body: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Ask the running stub of these settings as its operator. Raises Failure."""
    token = datadir.find_operator_token(settings.data_dir)
    if token is None:
        raise Failure(f"no stub has run on data_dir {settings.data_dir}")
    url = address(settings.bind, settings.toplevel_port) + path
    return asyncio.run(_ask(method, url, token, body))


async def _ask(method: str, url: str, token: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=_TIMEOUT) as session,
            session.request(method, url, json=body) as response,
        ):
            answer: dict[str, Any] = msgspec.json.decode(await response.read(), type=dict[str, Any])
    except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
        raise Failure(f"{url}: {error or type(error).__name__}") from error
    if not response.ok:
        field = f"{answer['field']}: " if answer.get("field") else ""
        raise Failure(f"HTTP {response.status}: {field}{answer.get('detail', '')}")
    return answer
