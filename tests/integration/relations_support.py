"""What tests of relations share: identifiers made at once, and relations stated over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.integration.registry_client import Node

ELSEWHERE = "88.709.911/BEARING-6204"
"""An identifier of another node."""


@dataclass(frozen=True)
class Works:
    """An enterprise with one prefix, and its key."""

    node: Node
    key: str
    prefix: str

    @classmethod
    async def make(cls, node: Node, number: int) -> Works:
        """Make the enterprise with this number."""
        enterprise, key = await node.enterprise(number)
        return cls(node, key, await node.prefix(enterprise, key))

    def name(self, suffix: str) -> str:
        """Return the identifier with a suffix; a whole identifier stays as it is."""
        return suffix if "/" in suffix else f"{self.prefix}/{suffix}"

    async def register(self, *suffixes: str) -> None:
        """Register identifiers without values."""
        for suffix in suffixes:
            status, answer, _ = await self.node.call(
                "PUT", f"/identifiers/{self.name(suffix)}", self.key, {"values": []}
            )
            assert status in (200, 201), answer

    async def state(
        self, subject: str, kind: str, target: str, audience: str | None = None
    ) -> tuple[int, Any]:
        """State a relation; return the status and the answer."""
        path = f"/identifiers/{self.name(subject)}/relations/{kind}/{self.name(target)}"
        body = None if audience is None else {"audience": audience}
        status, answer, _ = await self.node.call("PUT", path, self.key, body)
        return status, answer

    async def take_back(self, subject: str, kind: str, target: str) -> tuple[int, Any]:
        """Take a relation back; return the status and the answer."""
        path = f"/identifiers/{self.name(subject)}/relations/{kind}/{self.name(target)}"
        status, answer, _ = await self.node.call("DELETE", path, self.key)
        return status, answer

    async def items(self, subject: str, what: str, token: str | None = None) -> list[Any]:
        """Return the items of a list under an identifier, all pages of it."""
        found: list[Any] = []
        cursor, joint = "", "&" if "?" in what else "?"
        while cursor is not None:
            more = f"{joint}cursor={cursor}" if cursor else ""
            status, page, _ = await self.node.call(
                "GET", f"/identifiers/{self.name(subject)}/{what}{more}", token or self.key
            )
            assert status == 200, page
            found += page["items"]
            cursor = page["next"]
        return found

    async def handles(self, subject: str, what: str, token: str | None = None) -> list[str]:
        """Return the identifiers in such a list."""
        return [item["handle"] for item in await self.items(subject, what, token)]

    async def relations(self, subject: str, query: str = "") -> set[tuple[str, str, str]]:
        """Return what is stated of an identifier."""
        items = await self.items(subject, f"relations{query}")
        return {(item["subject"], item["kind"], item["target"]) for item in items}


def at(moment: str) -> str:
    """Return a parameter of the query that asks for a moment."""
    return f"at={quote(moment)}"
