"""A client of the SNMS API, and enterprises with the prefixes of its guide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from argon2 import PasswordHasher

from registry.snms import secrets
from tests.integration.registry_client import SNMS_KEY, Node
from tests.integration.template_support import item, published

USER, PASSWORD = "mes", "quiet heron 47 over the lock"


@dataclass
class Client:
    """Asks the SNMS API; `token` as it was given out."""

    node: Node
    token: str | None = None

    async def ask(
        self, method: str, path: str, body: Any = None, **more: Any
    ) -> tuple[int, dict[str, Any]]:
        """Send a request; return the HTTP status and the answer. A body of bytes goes as it is."""
        headers = {"Content-Type": "application/json"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        sent = {"data": body} if isinstance(body, bytes | None) else {"json": body}
        async with self.node.client.request(
            method, path, headers=headers, **sent, **more
        ) as response:
            return response.status, dict(await response.json())

    async def must(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request that is done; return its data."""
        http, answer = await self.ask(method, path, body)
        assert (http, answer["status"], answer["message"]) == (200, 1, "success"), answer
        return answer["data"]

    async def refused(self, method: str, path: str, body: Any = None, status: int = -2) -> str:
        """Send a request that is refused with `status`; return the message."""
        http, answer = await self.ask(method, path, body)
        assert (http, answer["status"], answer["data"]) == (200, status, None), answer
        return str(answer["message"])

    async def sign_in(self, name: str = USER, password: str = PASSWORD) -> Client:
        """Return a client that has a token."""
        body = {"username": name, "password": password}
        data = await self.must("POST", "/identity/token", body)
        return Client(self.node, data["token"])

    async def value(self, handle: str, index: int = 2000) -> str | None:
        """Return the text of a value that is registered."""
        data = await self.must("GET", f"/identityv2/data/detail?handle={handle}")
        return next((v["data"]["value"] for v in data["value"] if v["index"] == index), None)


async def user(node: Node, enterprise_id: str, name: str = USER, **more: Any) -> str:
    """Make a user of the SNMS API; return its id."""
    body = {"name": name, "password": PASSWORD, **more}
    path = f"/enterprises/{enterprise_id}/snms-users"
    status, made, _ = await node.call("POST", path, node.operator, body)
    assert status == 201, made
    return str(made["id"])


async def enterprise(node: Node, number: int, *prefixes: str) -> tuple[str, str]:
    """Register an enterprise that holds these prefixes, wherever they stand; id and key."""
    enterprise_id, key = await node.enterprise(number)
    async with node.database.begin() as connection:
        for prefix in prefixes:
            await connection.execute(
                sa.text(
                    "INSERT INTO prefixes (prefix, enterprise_id, hosting, status)"
                    " VALUES (:prefix, :id, 'hosted', 'active')"
                ),
                {"prefix": prefix, "id": enterprise_id},
            )
    return enterprise_id, key


async def old_user(node: Node, enterprise_id: str, name: str, password: str) -> None:
    """Put a user with a password that is too weak for a new one into the database."""
    async with node.database.begin() as connection:
        await connection.execute(
            sa.text(
                "INSERT INTO snms_users (enterprise_id, name, password, sealed)"
                " VALUES (:id, :name, :password, :sealed)"
            ),
            {
                "id": enterprise_id,
                "name": name,
                "password": PasswordHasher(1, 8, 1).hash(password),
                "sealed": secrets.seal(SNMS_KEY, name, password),
            },
        )


async def template(
    node: Node, prefix: str, key: str, version: str, *types: str, **data: Any
) -> str:
    """Publish a template with an item from index 2000 on for each type; return its reference."""
    items = [item(2000 + place, type_, **data) for place, type_ in enumerate(types)]
    return await published(node, prefix, key, version, items)


def record(handle: str, version: str, *values: tuple[int, str, str]) -> dict[str, Any]:
    """Return a record of values (index, type, text)."""
    return {
        "handle": handle,
        "templateVersion": version,
        "value": [
            {
                "data": {"format": "string", "value": text},
                "auth": "",
                "index": index,
                "type": type_,
            }
            for index, type_, text in values
        ],
    }
