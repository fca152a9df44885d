"""A world of Handle servers for tests of recursion: what each says, and how to reach it.

The servers are tables of what they answer. A test puts them on a network that is simulated, with
its own clock, or on real sockets (tests/integration/recursion_support.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from protocol import typed
from protocol.errors import PeerUnavailable, ResponseCode
from protocol.handle.message import Message, reply
from protocol.handle.requests import ResolutionRequest
from protocol.handle.responses import ErrorResponse, ReferralResponse, ResolutionResponse, Response
from protocol.identifier import Identifier
from protocol.values import HandleValue, select
from resolver.client.steps import Endpoint, Watch
from resolver.recursion.asker import Network

PUMP = Identifier.parse("88.120.7/SN-1")
URL = HandleValue(1, "URL", b"https://pumps.example/1", ttl=100)


def site(*servers: tuple[str, int], index: int = 1, type_: str = "HS_SITE") -> HandleValue:
    """Return the value of one site with these servers, each with UDP and TCP at one port."""
    return HandleValue(index, type_, record(*servers), ttl=1000)


def record(*servers: tuple[str, int]) -> bytes:
    interfaces = ("UDP", "TCP")
    return typed.site_from_json(
        {
            "servers": [
                {
                    "serverId": number,
                    "address": address,
                    "interfaces": [
                        {"query": True, "protocol": protocol, "port": port}
                        for protocol in interfaces
                    ],
                }
                for number, (address, port) in enumerate(servers, 1)
            ]
        }
    )


def service(name: str, index: int = 1) -> HandleValue:
    return HandleValue(index, "HS_SERV", name.encode(), ttl=1000)


@dataclass(frozen=True)
class Refer:
    """A referral: 302, or 303 for what is derived."""

    values: tuple[HandleValue, ...]
    code: int = ResponseCode.SERVICE_REFERRAL


Said = tuple[HandleValue, ...] | Refer | int
"""What a server says of an identifier: its values, a referral, or a response code."""


@dataclass
class Server:
    """A server: what it says by identifier, or by ``PREFIX/`` for all under one.

    asked: the requests it got.
    """

    says: dict[str, Said] = field(default_factory=dict)
    asked: list[Message] = field(default_factory=list)

    def answer(self, request: Message) -> Message:
        """Return the answer to a request."""
        self.asked.append(request)
        assert isinstance(request.body, ResolutionRequest)
        name = Identifier.parse(request.body.handle)
        said = self.says.get(name.key, self.says.get(f"{name.prefix_key}/"))
        return _reply(request, ResponseCode.HANDLE_NOT_FOUND if said is None else said)


def _reply(request: Message, said: Said) -> Message:
    wanted = request.body
    assert isinstance(wanted, ResolutionRequest)
    code, body = ResponseCode.SUCCESS, ErrorResponse("")
    response: Response = body
    if isinstance(said, int):
        code = ResponseCode(said)
    elif isinstance(said, Refer):
        code, response = ResponseCode(said.code), ReferralResponse(values=said.values)
    else:
        values = tuple(select(said, wanted.types, wanted.indexes))
        if values:
            response = ResolutionResponse(wanted.handle, values)
        else:
            code = ResponseCode.VALUES_NOT_FOUND
    return reply(request, response, code=code, expiration=2_000_000_000, site_serial=1)


@dataclass
class Clock:
    """A clock that a test moves."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class World:
    """A simulated network: servers by address; what is lost; how long a round trip takes.

    sent: the transport and the address of each question, in order.
    """

    servers: dict[str, Server]
    clock: Clock = field(default_factory=Clock)
    loses: Callable[[str, str], bool] = lambda _transport, _host: False
    seconds: Callable[[str], float] = lambda _host: 0.01
    sent: list[tuple[str, str]] = field(default_factory=list)

    @property
    def network(self) -> Network:
        """Return it as what carries questions."""
        return Network(self._carry, self._carry)

    async def _carry(
        self, request: Message, endpoint: Endpoint, *, seconds: float, watch: Watch
    ) -> Message:
        self.sent.append((endpoint.transport, endpoint.host))
        server = self.servers.get(endpoint.host)
        took = self.seconds(endpoint.host)
        if server is None or took > seconds or self.loses(endpoint.transport, endpoint.host):
            self.clock.now += seconds
            raise PeerUnavailable(f"{endpoint}: no answer in {seconds:g} s")
        self.clock.now += took
        return server.answer(request)


ROOT, TOP, NODE, ENTERPRISE = "192.0.9.1", "8.8.1.1", "8.8.2.1", "8.8.3.1"


def tower() -> dict[str, Server]:
    """Return a root, a top-level node, a secondary node with two prefixes, an enterprise node.

    88.120.7 is delegated to the enterprise node; 88.120.8 is hosted by the secondary node.
    """
    top, node, enterprise = site((TOP, 2641)), site((NODE, 2641)), site((ENTERPRISE, 2641))
    below = Refer((site((TOP, 2641), type_="HS_SITE.PREFIX"),), ResponseCode.PREFIX_REFERRAL)
    referred = Refer((node,))
    return {
        ROOT: Server({"0.NA/88": (top,), "0.NA/": below}),
        TOP: Server(
            {
                "0.NA/88": (top,),
                "0.NA/88.120": (node,),
                "0.NA/88.120.7": referred,
                "0.NA/88.120.8": referred,
                "0.NA/88.120.9": referred,
            }
        ),
        NODE: Server(
            {
                "0.NA/88.120.7": (enterprise,),
                "0.NA/88.120.8": (node,),
                "88.120.7/": Refer((enterprise,)),
                "88.120.8/SN-1": (URL,),
            }
        ),
        ENTERPRISE: Server({PUMP.key: (URL, HandleValue(2, "EMAIL", b"a@b.example"))}),
    }
