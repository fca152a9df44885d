"""idnode demo: fill a running node with something to look at, through its public port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import click

from admin.client import connect, node_url
from admin.commands.options import bearer_token, json_option, settings_options, token_option
from admin.demo import goods, province
from admin.settings import Settings
from admin.words import say, show, words


@click.command(help=words("Fill a running node with an example.", "向运行中的节点填入示例数据。"))
@click.option("--url", help="The node to fill. Default: the one of the settings.")
@token_option
@json_option
@settings_options("bind", "http_port", "data_dir")
def demo(
    settings: Settings,
    read_settings: Callable[[], Settings],
    *,
    url: str | None,
    token: str | None,
    as_json: bool,
) -> None:
    """Fill a running node with an example. Done twice, it changes nothing."""
    del read_settings
    url = url or node_url(settings)
    prefixes = asyncio.run(_fill(url, bearer_token(token, settings)))
    names = province.to_try(prefixes)
    tries = [f"{url}/api/handles/{name}" for name in names]
    parts = f"{url}/api/v1/identifiers/{names[0]}/parts?depth={goods.LEVELS}"
    show(
        {"prefixes": prefixes, "identifiers": goods.IDENTIFIERS, "try": tries, "parts": parts},
        "\n".join(tries),
        as_json=as_json,
    )
    say(
        f"What the first is made of (with a token): {parts}",
        f"首个产品的零部件(需令牌):{parts}",
    )


async def _fill(url: str, token: str) -> dict[str, str]:
    async with connect(url, token) as client:
        return await province.fill(client)
