"""Resolution at a server, and at the servers that it refers to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from protocol.errors import IdnodeError, PeerUnavailable, ResponseCode
from protocol.identifier import Identifier
from protocol.typed import (
    PLACE_TYPES,
    PREFIX_PLACE_TYPES,
    PREFIX_SERVICE,
    PREFIX_SITE_TYPES,
    SERVICE,
    SITE_TYPES,
)
from protocol.values import HandleValue, select
from resolver.client import http, site, tcp, udp
from resolver.client.exchange import REFERRALS, Answer, Asking, read_answer
from resolver.client.steps import Endpoint, Step, Watch, nobody

MAX_HOPS = 8
"""Questions that are sent for one identifier, those for services on the way included."""


async def resolve(
    asking: Asking,
    endpoint: Endpoint,
    *,
    url: str | None = None,
    watch: Watch = nobody,
    allows: Callable[[Endpoint], bool] = lambda _: True,
) -> Answer:
    """Ask a server; go on where it refers to: a site, a service by its name, another handle.

    A server that answers ERROR over UDP is asked again over TCP. What a service or a handle is, is
    asked of the server that named it, else of the first one.
    url: of the first server, where it is not ``http://host:port``. A referral that leads to no
    site with an interface of the same transport is itself the answer. allows: whether a server that
    was referred to may be asked.
    Raises PeerUnavailable, and ProtocolError for what is no answer.
    """
    return await _Way(_Server(endpoint, url), watch, allows).answer(asking)


async def ask(
    asking: Asking, endpoint: Endpoint, *, url: str | None = None, watch: Watch = nobody
) -> Answer:
    """Ask one server. Raises PeerUnavailable, and ProtocolError for what is no answer."""
    if endpoint.transport == "http":
        return await http.ask(asking, endpoint, url=url, watch=watch)
    carry = udp.ask if endpoint.transport == "udp" else tcp.ask
    return read_answer(await carry(asking.message(), endpoint, watch=watch))


@dataclass(frozen=True, slots=True)
class _Server:
    endpoint: Endpoint
    url: str | None = None


@dataclass(slots=True)
class _Way:
    """The way to one answer. left: questions. seen: handles that were looked up on it already."""

    first: _Server
    watch: Watch
    allows: Callable[[Endpoint], bool]
    left: int = MAX_HOPS
    seen: set[str] = field(default_factory=set)

    async def answer(self, asking: Asking, server: _Server | None = None) -> Answer:
        """Ask a server, at first the first one, and go where it refers to."""
        server = server or self.first
        while self.left:
            self.left -= 1
            self.watch(Step("ask", server.endpoint, detail=f"for {asking.identifier}"))
            answer = await self._ask(asking, server)
            if answer.code not in REFERRALS:
                return answer
            further = await self._referred(answer, asking, server)
            if further is None:
                return answer
            self.watch(Step("refer", server.endpoint, detail=str(further)))
            if not self.allows(further):
                raise PeerUnavailable(
                    f"{server.endpoint} refers to {further}, which must not be asked"
                )
            server = _Server(further)
        raise PeerUnavailable(f"{asking.identifier}: {MAX_HOPS} servers each refer to another one")

    async def _ask(self, asking: Asking, server: _Server) -> Answer:
        """Ask one server: again over TCP where it answers ERROR over UDP.

        So does the reference client. A server says that of what is too long for UDP, or too much
        for one source, which may be forged. Where nobody listens on TCP its first word is the last.
        """
        endpoint = server.endpoint
        answer = await ask(asking, endpoint, url=server.url, watch=self.watch)
        if endpoint.transport != "udp" or answer.code != ResponseCode.ERROR:
            return answer
        port = endpoint.tcp_port or endpoint.port
        over_tcp = replace(endpoint, transport="tcp", port=port)
        self.watch(Step("ask", over_tcp, detail=f"for {asking.identifier}: {answer.detail}"))
        try:
            return await ask(asking, over_tcp, watch=self.watch)
        except PeerUnavailable as error:
            self.watch(Step("wait", over_tcp, detail=error.detail))
            return answer

    async def _referred(self, answer: Answer, asking: Asking, server: _Server) -> Endpoint | None:
        """Return where a referral leads, None for nowhere.

        One of a prefix (303) is first of all about what is derived from it. A referral without
        values may name a handle that has them.
        """
        of_prefix = answer.code == ResponseCode.PREFIX_REFERRAL
        found = await self._place(answer.values, asking, server, of_prefix=of_prefix)
        if found is None and of_prefix:
            found = await self._place(answer.values, asking, server, of_prefix=False)
        if found is None and answer.handle is not None and not answer.values:
            found = await self._named(answer.handle, asking, server, of_prefix=of_prefix)
        return found

    async def _place(
        self,
        values: Sequence[HandleValue],
        asking: Asking,
        server: _Server,
        *,
        of_prefix: bool,
    ) -> Endpoint | None:
        """Return the server that has an identifier, by values of sites or else of services."""
        sites = select(values, PREFIX_SITE_TYPES if of_prefix else SITE_TYPES)
        found = site.choose(sites, asking.identifier, server.endpoint.transport)
        for name in _services(values, PREFIX_SERVICE if of_prefix else SERVICE):
            if found is not None:
                break
            found = await self._named(name, asking, server, of_prefix=of_prefix)
        return found

    async def _named(
        self, name: str, asking: Asking, server: _Server, *, of_prefix: bool
    ) -> Endpoint | None:
        """Return the server that has an identifier, by what stands at the handle `name`."""
        try:
            handle = Identifier.parse(name)
        except IdnodeError:
            return None  # no name of anything
        if handle == asking.identifier or handle.key in self.seen:
            return None
        self.seen.add(handle.key)
        # Also what serves the prefix itself: services are written for both.
        types = (*PREFIX_PLACE_TYPES, *PLACE_TYPES) if of_prefix else PLACE_TYPES
        question = replace(asking, identifier=handle, types=types, indexes=())
        for one in dict.fromkeys((server, self.first)):
            answer = await self.answer(question, one)
            if answer.code == ResponseCode.SUCCESS:
                found = await self._place(answer.values, asking, one, of_prefix=of_prefix)
                if found is None and of_prefix:
                    found = await self._place(answer.values, asking, one, of_prefix=False)
                return found
        return None


def _services(values: Iterable[HandleValue], type_: str) -> Iterator[str]:
    for value in select(values, (type_,)):
        yield value.data.decode(errors="replace")
