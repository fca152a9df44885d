"""From an identifier to its answer, wherever it is: here, or elsewhere for who may have us ask."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.errors import ProtocolError, ResponseCode
from protocol.identifier import Identifier
from resolver.cache import Answer
from resolver.lookup import Resolver
from resolver.recursion.model import Found
from resolver.recursion.service import MAX_COUNT, Recursion
from resolver.referrals import Referral


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks for recursion: an address, and how many servers have passed the question on."""

    address: str
    count: int = 0


async def find(
    resolver: Resolver,
    recursion: Recursion | None,
    identifier: Identifier,
    client: Client | None,
    *,
    authoritative: bool = False,
) -> Answer | Referral | Found:
    """Return the answer of this node, or for a client that asks for recursion that of another one.

    client: None for one that does not. authoritative: what is remembered is no answer.
    Raises HandleNotFound, ServerNotResponsible, StoreUnavailable, and for recursion
    RecursionFailed, Busy, TooManyRequests, ProtocolError with code 6 for a count that is too high.
    """
    if recursion is None or client is None or not recursion.serves(client.address):
        return await resolver.resolve(identifier, authoritative=authoritative)
    if resolver.is_foreign(identifier):
        _check(client)
        return await recursion.resolve(
            identifier, client.address, count=client.count, fresh=authoritative
        )
    found = await resolver.resolve(identifier, authoritative=authoritative)
    if not isinstance(found, Referral):
        return found
    _check(client)
    return await recursion.follow(
        identifier, found, client.address, count=client.count, fresh=authoritative
    )


def _check(client: Client) -> None:
    if client.count >= MAX_COUNT:
        raise ProtocolError(
            f"{MAX_COUNT} servers have passed the question on already",
            code=ResponseCode.RECURSION_LIMIT,
            field="recursion_count",
        )
