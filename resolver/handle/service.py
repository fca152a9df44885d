"""From a request to its answer, for every operation of the Handle System protocol.

A handler takes one operation; resolver/handle/dispatch.py lists them all. What a handler raises
becomes the response with the error's own code.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from protocol.errors import IdnodeError, ProtocolError, ResponseCode, ServerNotResponsible
from protocol.handle.credential import sign_message
from protocol.handle.envelope import Envelope
from protocol.handle.header import SERIAL_UNKNOWN, OpFlag
from protocol.handle.message import Message, reply
from protocol.handle.responses import ErrorResponse, Response
from registry.admins import Identity
from registry.identities import Find
from registry.services import Registry
from resolver.handle.administrator import Administrator
from resolver.handle.guesses import Guesses
from resolver.lookup import Resolver
from resolver.recursion.service import Recursion
from resolver.site import Site

log = structlog.get_logger("idnode.handle")

EXPIRES_SECONDS = 12 * 3600
"""How long an answer says that it holds, as the reference server does."""

_SERIALS_UNKNOWN = (0, SERIAL_UNKNOWN)
"""What a client writes that goes by no HS_SITE; 0 is what some write who know of none."""


@dataclass(slots=True)
class Login:
    """What a connection remembers of its login; see resolver/handle/logins.py.

    wanted: session id of a login whose challenge is not answered yet, or 0. identity: who has
    logged in, for messages with `session_id`, as long as one of `keys` (digests) is theirs.
    """

    wanted: int = 0
    session_id: int = 0
    identity: Identity | None = None
    keys: frozenset[bytes] = frozenset()


@dataclass(frozen=True)
class Peer:
    """Who asks.

    transport: udp, tcp or http. address: of the other end. identity: proved by the answer to a
    challenge or by a session; None for anybody. login: of a connection that can have one.
    """

    transport: str
    address: str
    identity: Identity | None = None
    login: Login | None = field(default=None, compare=False)


class Replies:
    """How this server heads, bounds and signs its answers."""

    def __init__(self, site: Site, clock: Callable[[], float]) -> None:
        """Take our own site with the key that signs, and a clock in Unix seconds."""
        self.site = site
        self.clock = clock

    def error(self, message: Message, code: ResponseCode, detail: str) -> Message:
        """Return the response that says what went wrong."""
        return self.reply(message, ErrorResponse(detail), code=code)

    def reply(
        self,
        message: Message,
        body: Response,
        *,
        code: int = ResponseCode.SUCCESS,
        session_id: int | None = None,
        answered: Envelope | None = None,
    ) -> Message:
        """Return a response headed as ours; see protocol.handle.message.reply."""
        return reply(
            message,
            body,
            expiration=int(self.clock()) + EXPIRES_SECONDS,
            site_serial=self.site.serial,
            code=code,
            session_id=session_id,
            answered=answered,
        )

    def bounded(self, request: Message, response: Message) -> Message:
        """Return the response, or an error instead of one that is longer than a message may be."""
        try:
            response.encode_payload()
        except ProtocolError as error:
            return self.error(request, ResponseCode.ERROR, error.detail)
        return response

    def signed(self, request: Message, response: Message) -> Message:
        """Sign a response of which that was asked, with the key that HS_SITE names."""
        wanted = request.header.flags & OpFlag.CERTIFY
        if not wanted or self.site.key is None or response.credential is not None:
            return response
        credential = sign_message(response.envelope, response.content, self.site.key)
        return replace(response, credential=credential)


class HandleService(Replies):
    """Answers messages. One a worker."""

    def __init__(
        self,
        resolver: Resolver,
        registry: Registry,
        site: Site,
        *,
        handlers: Mapping[int, Handler],
        administrators: frozenset[str] = frozenset(),
        find: Find | None = None,
        recursion: Recursion | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the operations and the identities (``index:handle``) that run this node.

        find: finds the keys of identities that live elsewhere. recursion: asks other nodes for
        clients that may have it ask; None: for nobody.
        """
        super().__init__(site, clock)
        self.resolver = resolver
        self.registry = registry
        self.administrators = administrators
        self.find = find
        self.recursion = recursion
        self.guesses = Guesses(registry.row, registry.clock)
        self._handlers = handlers

    def administrator(self, identity: Identity, request_id: str | None) -> Administrator:
        """Return what somebody can do who has proved to be `identity`."""
        return Administrator(self.registry, self.administrators, identity, request_id)

    async def answer(self, message: Message, peer: Peer) -> list[Message]:
        """Return the response: several messages where a list is long."""
        handler = self._handlers.get(message.header.op_code)
        try:
            if handler is None:
                # As the reference server: an unknown operation is an error, not unsupported.
                return [self.error(message, ResponseCode.ERROR, "unknown operation")]
            answers = await handler(self, message, peer)
        except ServerNotResponsible as error:
            answers = [self.error(message, self._why_not_here(message), error.detail)]
        except IdnodeError as error:
            answers = [self.error(message, error.response_code, error.detail)]
        except Exception:
            log.exception("handle_request_failed", op_code=int(message.header.op_code))
            answers = [self.error(message, ResponseCode.ERROR, "internal error")]
        return [self.bounded(message, self.signed(message, one)) for one in answers]

    def _why_not_here(self, message: Message) -> ResponseCode:
        """Return 300 to who came by older site information than there is, to others 301.

        A request is fulfilled whenever it can be, however old the information is by which it came
        (RFC 3652 section 2.2.2.4): clients keep HS_SITE for a day, and some write the same serial
        number always. What lives elsewhere is the one thing that newer information may help to
        find. Told 300, a client reads HS_SITE anew; if it comes again, it comes by the newest.
        The reference server has the code and never sends it; its client takes it so.
        """
        known = message.header.site_serial
        older = known not in _SERIALS_UNKNOWN and known < self.site.serial
        return ResponseCode.SITE_INFO_OUT_OF_DATE if older else ResponseCode.SERVER_NOT_RESPONSIBLE


Handler = Callable[[HandleService, Message, Peer], Awaitable[list[Message]]]
"""Answers one operation. May raise IdnodeError."""
