"""Where else to ask: for prefixes that another node serves, and for those derived from one of ours.

The prefixes that are registered are children of the node's own, ``88.118.35``; whoever holds one
may derive others from it, ``88.118.35.7``, and have them served where they like:

- below a delegated prefix they are where that is served (response code 302);
- below a hosted one they are where its prefix handle says by HS_SITE.PREFIX or HS_SERV.PREFIX
  (response code 303). What it says of that not to everybody is not said.

The reference server says 303 of prefix handles alone and of identifiers below that it has not to do
with them (301); its client asks for the prefix handle first. Others come with an identifier at
once, so here they are told the same of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.errors import ResponseCode
from protocol.identifier import PREFIX_HANDLE_PREFIX, Identifier
from protocol.typed import PREFIX_PLACE_TYPES
from protocol.values import HandleValue, select
from registry.prefix_handles import owner_prefix
from resolver.cache import Answer


@dataclass(frozen=True, slots=True)
class Referral:
    """Ask at `places`: values of the types HS_SITE and HS_SERV, or those for derived prefixes."""

    places: tuple[HandleValue, ...]
    code: ResponseCode = ResponseCode.SERVICE_REFERRAL

    def values(self) -> list[HandleValue]:
        """Return the values that say so."""
        return list(self.places)


def handle_above(identifier: Identifier, node_prefix: str) -> Identifier | None:
    """Return the handle of the child of `node_prefix` from which the identifier's prefix derives.

    None where it is that child itself, the node's prefix, or no prefix of this node.
    """
    child, rest = _split(owner_prefix(identifier), node_prefix)
    return Identifier(PREFIX_HANDLE_PREFIX, child) if rest else None


def _split(prefix: str, node_prefix: str) -> tuple[str, str]:
    if not prefix.startswith(f"{node_prefix}."):
        return prefix, ""
    number, _, rest = prefix[len(node_prefix) + 1 :].partition(".")
    return f"{node_prefix}.{number}", rest


def below(above: Answer) -> Referral | None:
    """Return where the prefixes below one are, by what its prefix handle says; None for nowhere."""
    if above.prefix.elsewhere is not None:
        return Referral((above.prefix.elsewhere,))
    places: Sequence[HandleValue] = select(above.values(), PREFIX_PLACE_TYPES)
    return Referral(tuple(places), ResponseCode.PREFIX_REFERRAL) if places else None
