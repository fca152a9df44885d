"""Resolution at a server, and at the servers that it refers to."""

from __future__ import annotations

from collections.abc import Callable

from protocol.errors import PeerUnavailable
from resolver.client import http, site, tcp, udp
from resolver.client.exchange import REFERRALS, Answer, Asking, read_answer
from resolver.client.steps import Endpoint, Step, Watch, nobody

MAX_HOPS = 8
"""Servers that are asked for one identifier."""


async def resolve(
    asking: Asking,
    endpoint: Endpoint,
    *,
    url: str | None = None,
    watch: Watch = nobody,
    allows: Callable[[Endpoint], bool] = lambda _: True,
) -> Answer:
    """Ask a server; go on where it refers to the site of another one.

    url: of the first server, where it is not ``http://host:port``. A referral that names no site
    with an interface of the same transport is itself the answer. allows: whether a server that
    was referred to may be asked.
    Raises PeerUnavailable, and ProtocolError for what is no answer.
    """
    for _ in range(MAX_HOPS):
        watch(Step("ask", endpoint))
        answer = await ask(asking, endpoint, url=url, watch=watch)
        if answer.code not in REFERRALS:
            return answer
        further = site.choose(answer.values, asking.identifier, endpoint.transport)
        if further is None:
            return answer
        watch(Step("refer", endpoint, detail=str(further)))
        if not allows(further):
            raise PeerUnavailable(f"{endpoint} refers to {further}, which must not be asked")
        endpoint, url = further, None
    raise PeerUnavailable(f"{asking.identifier}: {MAX_HOPS} servers each refer to another one")


async def ask(
    asking: Asking, endpoint: Endpoint, *, url: str | None = None, watch: Watch = nobody
) -> Answer:
    """Ask one server. Raises PeerUnavailable, and ProtocolError for what is no answer."""
    if endpoint.transport == "http":
        return await http.ask(asking, endpoint, url=url, watch=watch)
    carry = udp.ask if endpoint.transport == "udp" else tcp.ask
    return read_answer(await carry(asking.message(), endpoint, watch=watch))
