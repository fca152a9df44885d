"""Three enterprises whose values are for each other, and every door to them."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.handle.header import DEFAULT_FLAGS, OpCode, OpFlag
from protocol.handle.requests import ResolutionRequest
from protocol.handle.responses import Challenge, ResolutionResponse
from registry.admins import Identity
from resolver.handle.service import Peer
from tests.integration import rest_support
from tests.integration.handle_support import ask
from tests.integration.registry_client import Node, credit_code
from tests.integration.rest_support import Front, basic, value

SECRET = "the secret of identity number 301"
HTML, JSON = "text/html", "application/json"


@dataclass(frozen=True)
class Works:
    """An enterprise: its key, its prefix, and how values name it."""

    id: str
    key: str
    prefix: str
    code: str

    @property
    def partner(self) -> str:
        return f"enterprise:{self.code}"

    @property
    def identity(self) -> str:
        return f"301:0.NA/{self.prefix}"

    @property
    def person(self) -> str:
        """An identity under its prefix, which is not the enterprise itself."""
        return f"5:{self.prefix}/PERSON"


@dataclass(frozen=True)
class Town:
    """The node with its registry and its front."""

    node: Node
    front: Front
    owner: Works
    friend: Works
    stranger: Works

    async def put(self, suffix: str, values: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """Register an identifier of the owner."""
        path = f"/identifiers/{self.owner.prefix}/{suffix}"
        body = {"values": values, **more}
        status, answer, _ = await self.node.call("PUT", path, self.owner.key, body)
        assert status in (200, 201), answer
        return dict(answer)

    async def group(self, name: str, *members: str) -> None:
        body = {"members": list(members)}
        status, answer, _ = await self.node.call("PUT", f"/groups/{name}", self.owner.key, body)
        assert status in (200, 201), answer

    async def resolve(
        self, suffix: str, auth: str | None = None, more: str = ""
    ) -> rest_support.Answer:
        return await self.front.ask(
            "GET", f"/api/handles/{self.owner.prefix}/{suffix}{more}", auth=auth
        )

    async def seen(self, suffix: str, auth: str | None = None, more: str = "") -> list[int]:
        """Return the indexes that Handle JSON shows."""
        answer = await self.resolve(suffix, auth, more)
        assert answer.status == 200, answer.body
        return [one["index"] for one in answer.json.get("values", [])]

    async def doors(self, suffix: str, auth: str | None) -> Mapping[str, set[str]]:
        """Return the words that each door over HTTP shows; see `word`."""
        name, headers = f"{self.owner.prefix}/{suffix}", {"auth": auth}
        found = {}
        for door, path, accept in (
            ("handle json", f"/api/handles/{name}", JSON),
            ("handle json, auth", f"/api/handles/{name}?auth=true&pretty", JSON),
            ("resolve json", f"/resolve/{name}", JSON),
            ("link set", f"/resolve/{name}", "application/linkset+json"),
            ("page", f"/resolve/{name}?noredirect", HTML),
            ("redirect", f"/resolve/{name}", HTML),
            ("script", f"/api/handles/{name}?callback=take", JSON),
            ("public only", f"/api/handles/{name}?publicOnly", JSON),
        ):
            answer = await self.front.ask("GET", path, Accept=accept, **headers)
            assert answer.status in (200, 302, 404), (door, answer.status, answer.body)
            found[door] = words(answer.body + answer.headers.get("Location", "").encode())
        posted = await self.front.ask("POST", f"/api/handles/{name}", {}, **headers)
        found["handle json by POST"] = words(posted.body)
        return found

    async def registry_doors(self, suffix: str, token: str) -> Mapping[str, tuple[int, set[str]]]:
        """Return the status and the words of each door of the registry."""
        name = f"{self.owner.prefix}/{suffix}"
        found = {}
        for door, path in (
            ("shared", f"/shared/{name}"),
            ("identifier", f"/identifiers/{name}"),
            ("history", f"/identifiers/{name}/history"),
            ("list", f"/identifiers?prefix={self.owner.prefix}&limit=1000"),
            ("export", f"/exports/identifiers?prefix={self.owner.prefix}"),
            ("csv", f"/exports/identifiers?prefix={self.owner.prefix}&format=csv"),
            ("relations", f"/identifiers/{name}/relations"),
            ("parts", f"/identifiers/{name}/parts"),
        ):
            headers = {"Authorization": f"Bearer {token}"}
            url = self.node.url(path)
            async with self.node.client.get(url, headers=headers) as response:
                found[door] = (response.status, words(await response.read()))
        return found

    async def wire(
        self, suffix: str, identity: str | None, indexes: tuple[int, ...] = ()
    ) -> set[str] | None:
        """Return the words that the Handle protocol shows; None where it challenges.

        identity: has proved itself already, as after the answer to a challenge.
        """
        proved = None
        if identity is not None:
            index, _, handle = identity.partition(":")
            proved = Identity(int(index), handle)
        request = ResolutionRequest(f"{self.owner.prefix}/{suffix}", indexes)
        message = ask(OpCode.RESOLUTION, request, DEFAULT_FLAGS & ~OpFlag.PUBLIC_ONLY)
        peer = Peer("tcp", "127.0.0.1", identity=proved)
        (answer,) = await self.front.service.answer(message, peer)
        if isinstance(answer.body, Challenge):
            return None
        if isinstance(answer.body, ResolutionResponse):
            return words(b" ".join(one.data for one in answer.body.values))
        return set()


def word(number: int) -> str:
    """A word that stands in a value and nowhere else."""
    return f"word{number:05d}x"


_WORD = re.compile(r"word[0-9]{5}x")


def words(body: bytes) -> set[str]:
    text = body.decode()
    return set(_WORD.findall(html.unescape(text)))


def bearer(token: str) -> str:
    return f"Bearer {token}"


def for_partners(index: int, text: str, *partners: str, **more: Any) -> dict[str, Any]:
    access = {"audience": "partners", "partners": list(partners)}
    return value(index, text, "NOTE", access=access, **more)


def private(index: int, text: str) -> dict[str, Any]:
    return value(index, text, "NOTE", access={"audience": "private"})


async def _works(node: Node, number: int) -> Works:
    id_, key = await node.enterprise(number)
    works = Works(id_, key, await node.prefix(id_, key), credit_code(number))
    secret = value(301, SECRET, "HS_SECKEY", permissions="1100")
    person = value(5, SECRET, "HS_SECKEY", permissions="1100")
    for method, path, values in (
        ("PATCH", f"/identifiers/0.NA/{works.prefix}", [secret]),
        ("PUT", f"/identifiers/{works.prefix}/PERSON", [person]),
    ):
        status, answer, _ = await node.call(method, path, key, {"values": values})
        assert status in (200, 201), answer
    return works


def proof(identity: str) -> str:
    return basic(identity, SECRET)


@contextlib.asynccontextmanager
async def town(node: Node, directory: Path) -> AsyncIterator[Town]:
    """Run the front beside the registry, with three enterprises."""
    works = [await _works(node, number) for number in (1, 2, 3)]
    async with rest_support.serving(node.database.url, directory) as front:
        yield Town(node, front, *works)
