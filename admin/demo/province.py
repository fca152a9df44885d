"""Fills a node with the example, through its public port, as its operator.

Each step looks whether it has been taken: done again, it goes on where it ended, and changes
nothing where all is there.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any

from admin.client import Client, connect
from admin.commands.importing import MEDIA_TYPES, follow
from admin.demo import goods
from admin.demo.companies import AFTER, BY_KEY, COMPANIES, REASON, STEPS, Company, files_itself
from admin.words import Failure, say

PARTNERS = "partners"
"""The group of those who see what items for partners say."""

_STATEMENTS = 3000
"""Relations that are stated at once; together they are less than 1 MiB."""


async def fill(client: Client) -> dict[str, str]:
    """Fill the node; return the prefixes of the approved enterprises by their keys.

    Raises Failure.
    """
    ids = await _enterprises(client)
    say(f"Enterprises: {len(ids)}, in all states", f"企业:{len(ids)} 家,涵盖各种状态")
    prefixes = await _prefixes(client, ids)
    for maker, template in goods.TEMPLATES.items():
        body = template.body(prefixes[maker], BY_KEY[maker].industry)
        await _template(client, body)
        await _group(client, ids, maker)
    for maker in goods.TEMPLATES:
        await _import(client, maker, prefixes[maker])
    await _relate(client, prefixes)
    await _range(client, prefixes["tea"])
    return prefixes


async def _enterprises(client: Client) -> dict[str, str]:
    """Bring all enterprises in, each to its state; return their ids by their keys."""
    known = {one["credit_code"]: one async for one in client.pages("/enterprises", limit="100")}
    ids = {}
    for company in COMPANIES:
        there = known.get(company.credit_code) or await _enter(client, company)
        ids[company.key] = there["id"]
        await _advance(client, company, there)
    return ids


async def _enter(client: Client, company: Company) -> dict[str, Any]:
    if not files_itself(company):
        return await client.post("/enterprises", company.filing())
    # Nobody knows the password: an operator may set another one.
    administrator = {"name": f"demo.{company.key}", "password": secrets.token_urlsafe(24)}
    async with connect(client.url) as nobody:
        return await nobody.post("/filings", company.filing() | {"administrator": administrator})


async def _advance(client: Client, company: Company, there: dict[str, Any]) -> None:
    """Take the steps that are left; none where somebody has led the enterprise another way."""
    steps = STEPS[company.state]
    states = ["filed" if files_itself(company) else "approved", *(AFTER[step] for step in steps)]
    if there["status"] in states:
        for step in steps[states.index(there["status"]) :]:
            await client.post(f"/enterprises/{there['id']}/{step}", {"reason": REASON})


async def _prefixes(client: Client, ids: dict[str, str]) -> dict[str, str]:
    """Give each approved enterprise a prefix that is active; return them by its key."""
    held: dict[str, dict[str, Any]] = {}
    async for one in client.pages("/prefixes", limit="100"):
        if one["status"] in ("pending", "active") and one["hosting"] == "hosted":
            held.setdefault(one["enterprise_id"], one)
    prefixes = {}
    for company in COMPANIES:
        if company.state == "approved":
            wish = {"enterprise_id": ids[company.key], "hosting": "hosted"}
            prefix = held.get(ids[company.key]) or await client.post("/prefixes", wish)
            if prefix["status"] == "pending":
                await client.post(f"/prefixes/{prefix['prefix']}/approve")
            prefixes[company.key] = str(prefix["prefix"])
    return prefixes


async def _template(client: Client, body: dict[str, Any]) -> None:
    path = f"/templates/{body['prefix']}/{body['name']}/1"
    there = await client.find(path) or await client.post("/templates", body)
    if there["state"] == "draft":
        await client.post(f"{path}/publish")


async def _group(client: Client, ids: dict[str, str], maker: str) -> None:
    """Let the buyers of a maker see its prices: the pump works, and its own buyer those of it."""
    buyer = BY_KEY["tea" if maker == "pumps" else "pumps"]
    members = [f"enterprise:{buyer.credit_code}"]
    path, whose = f"/groups/{PARTNERS}", ids[maker]
    there = await client.find(path, enterprise_id=whose)
    if there is None:
        await client.put(path, {"members": members}, enterprise_id=whose)


async def _import(client: Client, maker: str, prefix: str) -> None:
    if await client.find(f"/identifiers/{prefix}/{goods.last_suffix(maker)}"):
        return
    file = goods.rows(maker)
    query = {"prefix": prefix, "template": goods.TEMPLATES[maker].name}
    job = await client.upload("/imports", _once(file), MEDIA_TYPES["csv"], **query)
    say(f"{BY_KEY[maker].name}, prefix {prefix}", f"{BY_KEY[maker].name},前缀 {prefix}")
    ended = await follow(client, job["id"], file.count(b"\n") - 1)
    if ended["state"] != "done" or ended["failed"]:
        raise Failure(
            f"the import {job['id']} ended as {ended['state']}, {ended['failed']} refused"
        )


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _relate(client: Client, prefixes: dict[str, str]) -> None:
    """Say which thing is a part of which, whoever has made them."""
    stated = [
        {
            "subject": f"{prefixes[part.maker]}/{part.suffix(number)}",
            "kind": "part-of",
            "target": f"{prefixes[whole.maker]}/{whole.suffix(number)}",
        }
        for number in range(1, goods.SETS + 1)
        for part, whole in goods.uses()
    ]
    last = stated[-1]
    if await client.find(f"/identifiers/{last['subject']}/relations/part-of/{last['target']}"):
        return
    for start in range(0, len(stated), _STATEMENTS):
        await client.post("/relations", {"put": stated[start : start + _STATEMENTS]})


async def _range(client: Client, prefix: str) -> None:
    async for one in client.pages("/ranges", prefix=prefix, limit="100"):
        if one["first"] == goods.TEA["first"]:
            return
    await client.post("/ranges", {"prefix": prefix, **goods.TEA})


def to_try(prefixes: dict[str, str]) -> list[str]:
    """Return ten identifiers that are worth a look."""
    suffixes = (
        ("pumps", "SET-0001"),
        ("pumps", f"SET-{goods.SETS:04d}"),
        ("motors", "MOTOR-0042"),
        ("valves", "VALVE-0123"),
        ("castings", "IMPELLER-0007"),
        ("bearings", "BRG-P-BALLS-0001"),
        ("wires", "ROD-0001"),
        ("tea", "TEA-2026-0000001"),
        ("tea", "TEA-2026-0888888"),
        ("pumps", "template/pump/1"),
    )
    return [f"{prefixes[maker]}/{suffix}" for maker, suffix in suffixes]
