"""idnode demo: fill a running node with something to look at, through its public port."""

from __future__ import annotations

import asyncio
import csv
import io
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import click

from admin.client import Client, Refused, connect, node_url
from admin.commands.importing import MEDIA_TYPES, follow
from admin.commands.options import bearer_token, json_option, settings_options, token_option
from admin.settings import Settings
from admin.words import Failure, say, show, words
from registry.credit_code import check_character

IDENTIFIERS = 10_000
_SHOWN = 10
_CREDIT_CODE = "91350211MADEM0PPP"
_ENTERPRISE = {
    "name": "示例泵业有限公司 Example Pump Works",
    "credit_code": _CREDIT_CODE + check_character(_CREDIT_CODE),
    "industry": "C3441",
    "contact": {"name": "标识管理部", "phone": "+86 592 5550100", "email": "id@pumps.example"},
}
_MODELS = (
    ("ISG50-160", "立式管道离心泵"),
    ("ISW65-125", "卧式管道离心泵"),
    ("QW80-40-7", "潜水排污泵"),
    ("CDLF8-12", "立式多级离心泵"),
)
_HEADER = ("suffix", "1:URL", "2000:PRODUCT_NAME", "2001:MODEL", "2002:SERIAL", "2003:MADE_ON")


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
    prefix = asyncio.run(_fill(url, bearer_token(token, settings)))
    tries = [f"{url}/api/handles/{prefix}/{suffix(number)}" for number in _numbers()]
    show(
        {"prefix": prefix, "identifiers": IDENTIFIERS, "try": tries},
        "\n".join(tries),
        as_json=as_json,
    )


async def _fill(url: str, token: str) -> str:
    async with connect(url, token) as client:
        enterprise_id = await _enterprise(client)
        prefix = await _prefix(client, enterprise_id)
        say(f"Enterprise {enterprise_id}, prefix {prefix}", f"企业 {enterprise_id},前缀 {prefix}")
        job = await client.upload("/imports", _once(rows()), MEDIA_TYPES["csv"], prefix=prefix)
        ended = await follow(client, job["id"], IDENTIFIERS)
    if ended["state"] != "done" or ended["failed"]:
        raise Failure(
            f"the import {job['id']} ended as {ended['state']}, {ended['failed']} refused"
        )
    return prefix


async def _enterprise(client: Client) -> str:
    try:
        made = await client.post("/enterprises", _ENTERPRISE)
    except Refused as refused:
        if refused.status != 409:
            raise
    else:
        return str(made["id"])
    async for known in client.pages("/enterprises", limit="100"):
        if known["credit_code"] == _ENTERPRISE["credit_code"]:
            return str(known["id"])
    raise Failure("the enterprise of the example is there and is not listed")


async def _prefix(client: Client, enterprise_id: str) -> str:
    """Return an active prefix of the enterprise; apply for one and approve it if there is none."""
    async for known in client.pages("/prefixes", limit="100"):
        if known["enterprise_id"] == enterprise_id and known["status"] == "active":
            return str(known["prefix"])
    body: dict[str, Any] = {"enterprise_id": enterprise_id, "hosting": "hosted"}
    prefix = (await client.post("/prefixes", body))["prefix"]
    await client.post(f"/prefixes/{prefix}/approve")
    return str(prefix)


def suffix(number: int) -> str:
    """Return the suffix of the example's identifier number `number`."""
    return f"PUMP-{number:06d}"


def _numbers() -> range:
    return range(1, IDENTIFIERS + 1, IDENTIFIERS // _SHOWN)


def rows() -> bytes:
    """Return the example as CSV, the same each time."""
    chance = random.Random(88118)  # noqa: S311  (an example, no secret)
    output = io.StringIO()
    writer = csv.writer(output)
    writer.writerow(_HEADER)
    for number in range(1, IDENTIFIERS + 1):
        model, name = chance.choice(_MODELS)
        serial = f"{model}/{chance.randrange(10**8):08d}"
        made = f"2026-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}"
        page = f"https://pumps.example/p/{number:06d}"
        writer.writerow((suffix(number), page, name, model, serial, made))
    return output.getvalue().encode()


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
