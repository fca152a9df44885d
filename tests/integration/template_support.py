"""Templates for tests, made over HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import asyncpg
import msgspec

from registry.templates.checks import check
from registry.templates.definition import Definition
from tests.integration.registry_client import Node


def item(index: int, type_: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    """Return an item; `more` that is not a member of an item goes to its data."""
    members = {name: more.pop(name) for name in ("required", "enabled", "audience") if name in more}
    name = more.pop("name", f"名称{index}")
    return {"index": index, "type": type_, "name": name, "data": {"kind": kind, **more}, **members}


PUMP = [
    item(2000, "NAME", required=True, min_length=1, max_length=20),
    item(2001, "POWER", "decimal", digits=6, fraction_digits=2, minimum="0"),
    item(2002, "MADE", "date"),
]


async def draft(
    node: Node, prefix: str, key: str, name: str = "pump", items: Any = PUMP, **more: Any
) -> dict[str, Any]:
    """Make a template and return its draft."""
    body = {"prefix": prefix, "name": name, "items": items, **more}
    status, made, _ = await node.call("POST", "/templates", key, body)
    assert status == 201, made
    return dict(made)


async def published(
    node: Node, prefix: str, key: str, name: str = "pump", items: Any = PUMP, **more: Any
) -> str:
    """Make a template, publish it and return its reference."""
    made = await draft(node, prefix, key, name, items, **more)
    path = f"/templates/{prefix}/{quote(made['reference'])}"
    status, after, _ = await node.call("POST", f"{path}/publish", key)
    assert (status, after["state"]) == (200, "published"), after
    return str(made["reference"])


async def stored(sql: asyncpg.Connection, prefix: str, name: str, items: Any) -> None:
    """Put a published version 1 into the database, where a test has no registry API."""
    definition = check(msgspec.convert({"items": items}, Definition))
    await sql.execute(
        """
        INSERT INTO templates
            (prefix, name_key, version, name, state, definition, digest, published_at)
        VALUES ($1, upper($2), 1, $2, 'published', $3, sha256($4), now())""",
        prefix,
        name,
        definition.decode(),
        definition,
    )


def value(index: int, type_: str, text: str, **more: Any) -> dict[str, Any]:
    return {"index": index, "type": type_, "data": {"format": "string", "value": text}, **more}
