"""A client of a node's HTTP port, for the commands that work through it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec

from admin.settings import Settings
from admin.supervisor import address
from admin.words import Failure

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=120)


class Refused(Failure):
    """The node answered with an error. `problem` is the body of the answer, if it is JSON."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        detail = problem.get("detail") or problem.get("title") or ""
        place = f"{problem['field']}: " if problem.get("field") else ""
        super().__init__(f"HTTP {status}: {place}{detail}")
        self.status = status
        self.problem = problem


class Client:
    """Speaks to one node as one principal. Made by `connect`."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """GET a resource below /api/v1. Raises Refused, Failure."""
        return await self._call("GET", path, params=query)

    async def find(self, path: str, **query: str) -> dict[str, Any] | None:
        """GET a resource below /api/v1; None if it is not there. Raises Refused, Failure."""
        try:
            return await self.get(path, **query)
        except Refused as refused:
            if refused.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def post(self, path: str, body: object = None) -> dict[str, Any]:
        """POST a JSON body below /api/v1. Raises Refused, Failure."""
        return await self._send("POST", path, body, {})

    async def put(self, path: str, body: object, **query: str) -> dict[str, Any]:
        """PUT a JSON body below /api/v1. Raises Refused, Failure."""
        return await self._send("PUT", path, body, query)

    async def _send(
        self, method: str, path: str, body: object, query: dict[str, str]
    ) -> dict[str, Any]:
        if body is None:
            return await self._call(method, path, params=query)
        headers = {"Content-Type": "application/json"}
        data = msgspec.json.encode(body)
        return await self._call(method, path, data=data, headers=headers, params=query)

    async def upload(
        self, path: str, pieces: AsyncIterator[bytes], media_type: str, **query: str
    ) -> dict[str, Any]:
        """POST a stream below /api/v1. Raises Refused, Failure."""
        headers = {"Content-Type": media_type}
        return await self._call("POST", path, data=pieces, headers=headers, params=query)

    async def download(self, path: str, **query: str) -> AsyncIterator[bytes]:
        """Yield what is below /api/v1. Raises Refused, Failure, also where it is cut off."""
        with self._reached():
            async with self._session.get(f"{self.url}/api/v1{path}", params=query) as reply:
                if reply.status >= 400:
                    raise Refused(reply.status, _object(await reply.read()))
                async for piece in reply.content.iter_chunked(1 << 18):
                    yield piece

    async def pages(self, path: str, **query: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the items of all pages of a list. Raises Refused, Failure."""
        while True:
            page = await self.get(path, **query)
            for item in page["items"]:
                yield item
            if page["next"] is None:
                return
            query["cursor"] = page["next"]

    async def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        with self._reached():
            async with self._session.request(
                method, f"{self.url}/api/v1{path}", **arguments
            ) as reply:
                body = _object(await reply.read())
                if reply.status >= 400:
                    raise Refused(reply.status, body)
                return body

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Failure(
                f"the node at {self.url} does not answer: {error}",
                f"节点 {self.url} 没有应答:{error}",
            ) from error


@contextlib.asynccontextmanager
async def connect(url: str, token: str | None = None) -> AsyncIterator[Client]:
    """Make a client that shows `token` with each request."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(timeout=_TIMEOUT, headers=headers) as session:
        yield Client(session, url.rstrip("/"))


def node_url(settings: Settings) -> str:
    """Return where the node of these settings answers."""
    return address(settings.bind, settings.http_port)


def _object(body: bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return decoded if isinstance(decoded, dict) else {}
