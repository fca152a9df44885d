"""Enterprises that file themselves, for tests."""

from __future__ import annotations

from typing import Any

from tests.integration.registry_client import CONTACT, Node, credit_code
from tests.integration.tenants import PASSWORD


def filing(number: int, **other: Any) -> dict[str, Any]:
    """Return the body of a filing."""
    return {
        "name": f"厦门第{number}水泵厂",
        "credit_code": credit_code(number),
        "industry": "C3441",
        "region": "350211",
        "contact": CONTACT,
        "administrator": {"name": f"admin.{number}", "password": PASSWORD},
        **other,
    }


async def file(node: Node, number: int, **other: Any) -> tuple[str, str]:
    """File an enterprise; return its id and the session of its administrator."""
    status, made, _ = await node.call("POST", "/filings", None, filing(number, **other))
    assert (status, made["status"]) == (201, "filed"), made
    return made["id"], await sign_in(node, f"admin.{number}")


async def sign_in(node: Node, name: str) -> str:
    """Return the token of a new session."""
    body = {"name": name, "password": PASSWORD}
    status, session, _ = await node.call("POST", "/sessions", None, body)
    assert status == 201, session
    token: str = session["token"]
    return token


async def step(node: Node, enterprise: str, name: str, reason: str | None = None) -> dict[str, Any]:
    """Take a step in the name of the reviewer; return the enterprise after it."""
    path = f"/enterprises/{enterprise}/{name}"
    status, after, _ = await node.call("POST", path, node.reviewer, {"reason": reason})
    assert status == 200, after
    return dict(after)


async def approved(node: Node, number: int) -> tuple[str, str]:
    """File an enterprise and have it approved; return its id and a session of it."""
    enterprise, session = await file(node, number)
    await step(node, enterprise, "review")
    await step(node, enterprise, "approve")
    return enterprise, session
