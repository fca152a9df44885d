"""Responses put together by dnspython: what is right, whatever the short way does faster.

The name of the question comes back in the case in which it was asked, which a client may have
chosen at random to know its answer by (draft-vixie-dnsext-dns0x20).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from protocol.dns.query import PAYLOAD, Flag, Query, Rcode
from protocol.dns.zones import Labels


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is answered: code and sections. authoritative: whether a zone of ours says so."""

    rcode: Rcode
    answer: Sequence[dns.rrset.RRset] = field(default=())
    authority: Sequence[dns.rrset.RRset] = field(default=())
    additional: Sequence[dns.rrset.RRset] = field(default=())
    authoritative: bool = True


def build(
    query: Query, outcome: Outcome, limit: int, cookie: bytes = b"", *, truncated: bool = False
) -> bytes:
    """Return a response of `limit` bytes at most: with TC and without records if it is longer.

    cookie: for the COOKIE option, none if empty. truncated: TC and no records in any case.
    """
    message = _head(query, outcome, cookie)
    if not truncated:
        message.answer = list(outcome.answer)
        message.authority = list(outcome.authority)
        message.additional = list(outcome.additional)
        try:
            return message.to_wire(max_size=limit, want_shuffle=False)
        except dns.exception.TooBig:
            message = _head(query, outcome, cookie)
    message.flags |= dns.flags.TC
    return message.to_wire()


def _head(query: Query, outcome: Outcome, cookie: bytes) -> dns.message.Message:
    message = dns.message.QueryMessage(id=query.id)
    message.flags = dns.flags.Flag(Flag.QR | query.flags & Flag.RD)
    if outcome.authoritative:
        message.flags |= dns.flags.AA
    message.question = [
        dns.rrset.RRset(
            name_of(query.labels),
            dns.rdataclass.RdataClass.make(query.class_),
            dns.rdatatype.RdataType.make(query.type),
        )
    ]
    if query.edns is not None:
        options: list[dns.edns.Option] = []
        if cookie:
            options.append(dns.edns.GenericOption(dns.edns.OptionType.COOKIE, cookie))
        do = dns.flags.DO if query.edns.dnssec else 0  # RFC 3225: as it was asked
        message.use_edns(0, do, PAYLOAD, options=options)
    message.set_rcode(dns.rcode.Rcode(outcome.rcode))
    return message


def name_of(labels: Labels) -> dns.name.Name:
    """Return a name as dnspython has it."""
    return dns.name.Name((*labels, b""))
