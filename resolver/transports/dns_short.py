"""The short way of DNS: a plain question, answered from the cache without building objects.

As with the Handle protocol (handle_short.py), the query is compared with what a plain one looks
like, and the answer is put together of pieces; the long way (resolver/dns) says what is right, and
a test holds both equal. The long way also teaches this one which identifier a question is about and
its records: what it has not answered once, is not answered here.

A plain query: id | flags | 1 question | name, NAPTR, IN | no record, or an OPT record without
options. RFC 1035 section 4.1, RFC 6891 section 6.1.2.
"""

from __future__ import annotations

import sys
from collections import OrderedDict

from protocol.dns.naptr import Records, encode_answer
from protocol.dns.query import (
    COOKIE_OPTION,
    HEADER_BYTES,
    IN,
    PAYLOAD,
    BadQuery,
    Flag,
    NoQuery,
    Query,
    Type,
    read_query,
)
from protocol.identifier import Identifier
from registry.statistics.cells import FOUND
from registry.statistics.counter import SAMPLE, Sample
from resolver.cache import Answer, Cache

_OPT_BYTES = 11
_OPT = b"\0" + Type.OPT.to_bytes(2, "big")
_ROOT = b"\0" + Type.NAPTR.to_bytes(2, "big") + IN.to_bytes(2, "big")
_FORMS_KEPT = 1024
_PLACE_BYTES = 230  # of an entry of an OrderedDict, besides its objects

Form = tuple[bytes, bytes, bytes, int]
"""What answers to queries of one kind have in common: bytes 2-5 (flags, one question), bytes 8-11
(no authority, how many OPT records), the OPT record, and the longest that they may be over UDP."""


class DnsFront:
    """What the DNS sockets of a worker share."""

    def __init__(self, cache: Cache, sample: Sample[bytes], limit: int) -> None:
        """Take the cache, what is told the identifier of each answer, and a budget for names.

        limit: bytes that questions may take which are known, with the identifiers they are about.
        """
        self._cache = cache
        self._sample = sample
        self._noted = sample.names
        self._limit = limit
        self._keys: OrderedDict[bytes, bytes] = (
            OrderedDict()
        )  # question in upper case -> identifier
        self.held_bytes = 0
        self._plain: dict[bytes, Form | None] = {}
        self._extended: dict[bytes, Form | None] = {}

    def answer(self, request: bytes, most: int = 0) -> bytes | None:
        """Return the answer to a query, None if it is to go the long way.

        most: bytes that the answer may have; 0: as the query says, for UDP.
        """
        head = request[2:HEADER_BYTES]
        form = self._plain.get(head)
        if form is not None:
            question = request[HEADER_BYTES:]
        else:
            kind = head + request[-_OPT_BYTES:]
            form = self._extended.get(kind)
            if form is not None:
                question = request[HEADER_BYTES:-_OPT_BYTES]
            else:
                if kind not in self._extended:
                    self._learn_form(head, request)
                return None
        key = self._keys.get(question.upper())
        if key is None:
            return None
        answer = self._cache.answers.get(key)
        if answer is None or not answer.prefix.live:
            return None
        records = answer.dns
        if records is None:
            return None
        begin, middle, opt, limit = form
        reply = b"".join((request[:2], begin, records[:2], middle, question, records[2:], opt))
        if len(reply) > (most or limit):
            return None
        answer.seen = True
        answer.prefix.cells[FOUND] += 1
        if len(self._noted) < SAMPLE:
            self._noted.append(key)
        return reply

    def answer_query(self, query: Query, limit: int, cookie: bytes) -> bytes | None:
        """Answer a query that has been read, such as one with a cookie; None as above.

        limit: bytes that the answer may have. cookie: for its COOKIE option, none if empty.
        """
        key = self._keys.get(query.wire.upper())
        answer = None if key is None else self._cache.get(key)
        if key is None or answer is None or answer.dns is None:
            return None
        if query.edns is not None and query.edns.version:
            return None
        begin, middle, opt, _ = _form_of(query, cookie)
        number, records = answer.dns[:2], answer.dns[2:]
        asked = query.id.to_bytes(2, "big")
        reply = b"".join((asked, begin, number, middle, query.wire, records, opt))
        if len(reply) > limit:
            return None
        answer.prefix.cells[FOUND] += 1
        self._sample.note(key)
        return reply

    def take_back(self, request: bytes) -> None:
        """Do not count the last answer, which was to this plain request: it is not sent."""
        end = len(request) if self._plain.get(request[2:HEADER_BYTES]) else -_OPT_BYTES
        self.uncount(request[HEADER_BYTES:end])

    def uncount(self, question: bytes) -> None:
        """Do not count the last answer, which was to this question: it is not sent."""
        key = self._keys[question.upper()]
        answer = self._cache.answers.get(key)
        if answer is not None:
            answer.prefix.cells[FOUND] -= 1
            self._sample.forget(key)

    def learn(self, query: Query, identifier: Identifier, answer: Answer, records: Records) -> None:
        """Remember what a question is about, and beside the cached answer its records.

        An identifier has records of one system alone: those of ONS have a slash in their suffix,
        and no name of ORS stands for one that has.
        """
        if query.class_ != IN or query.type != Type.NAPTR or not records.lasting:
            return
        key = identifier.key.encode()
        count = len(records.records).to_bytes(2, "big")
        section = encode_answer(records.records, records.ttl)
        if not self._cache.put_dns(key, answer, count + section):
            return
        question = query.wire.upper()
        if question not in self._keys:
            self._keys[question] = key
            self.held_bytes += _cost(question, key)
            while self.held_bytes > self._limit:
                self.held_bytes -= _cost(*self._keys.popitem(last=False))

    def _learn_form(self, head: bytes, request: bytes) -> None:
        """Find out how answers to queries of this kind begin and end, and remember it."""
        for forms in (self._plain, self._extended):
            if len(forms) >= _FORMS_KEPT:
                forms.clear()
        opt = request[-_OPT_BYTES:]
        self._plain[head] = _form(head, b"")
        # In a query without OPT these are bytes of its question.
        self._extended[head + opt] = _form(head, opt) if opt.startswith(_OPT) else None


def _form(head: bytes, opt: bytes) -> Form | None:
    """Return the form of answers to queries that begin and end like this, None if not plain."""
    try:
        query = read_query(bytes(2) + head + _ROOT + opt)
    except (NoQuery, BadQuery):
        return None
    if query.edns is not None and query.edns.version:
        return None
    return _form_of(query)


def _form_of(query: Query, cookie: bytes = b"") -> Form:
    """Return how an answer to a query begins and ends. cookie: for its COOKIE option, if any."""
    flags = int(Flag.QR | Flag.AA | query.flags & Flag.RD)
    begin = flags.to_bytes(2, "big") + b"\0\1"
    if query.edns is None:
        return begin, bytes(4), b"", query.udp_limit
    do = int(Flag.DO) if query.edns.dnssec else 0
    options = b""
    if cookie:
        options = COOKIE_OPTION.to_bytes(2, "big") + len(cookie).to_bytes(2, "big") + cookie
    numbers = (PAYLOAD, 0, do, len(options))
    opt = _OPT + b"".join(number.to_bytes(2, "big") for number in numbers) + options
    return begin, b"\0\0\0\1", opt, query.udp_limit


def _cost(question: bytes, key: bytes) -> int:
    return sys.getsizeof(question) + sys.getsizeof(key) + _PLACE_BYTES
