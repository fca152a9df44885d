"""From a query to its response, for all that is not answered on the short way."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from time import perf_counter

import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.HINFO
import dns.rdtypes.IN.NAPTR
import dns.rrset
import structlog

from protocol.dns.cookies import NONE, Judged, judge
from protocol.dns.naptr import Records, read_values
from protocol.dns.query import (
    ANY_CLASS,
    IN,
    MAX_TCP_BYTES,
    BadQuery,
    NoQuery,
    Query,
    Rcode,
    Type,
    read_query,
)
from protocol.dns.zones import Zone, Zones, identify, may_be_between
from protocol.errors import HandleNotFound, IdnodeError, ServerNotResponsible
from protocol.identifier import PREFIX_HANDLE_PREFIX, Identifier
from registry import store
from registry.metrics import Row
from resolver.cache import ABSENT_SECONDS, Answer
from resolver.dns.responses import Outcome, build, name_of
from resolver.dns.zone_data import NEGATIVE_SECONDS, ZoneData
from resolver.lookup import RESULTS, Resolver

log = structlog.get_logger("idnode.dns")

MAX_BETWEEN = 10_000
"""Names between others that are remembered for ABSENT_SECONDS."""

_TRANSFERS = (Type.IXFR, Type.AXFR, Type.MAILA, Type.MAILB)
_REFUSED = Outcome(Rcode.REFUSED, authoritative=False)
_FAILED = Outcome(Rcode.SERVFAIL, authoritative=False)

Learn = Callable[[Query, Identifier, Answer, Records], None]


class DnsService:
    """Answers the queries of a worker.

    learned: told what each answer with records was about.
    """

    def __init__(
        self,
        resolver: Resolver,
        zones: Mapping[Zone, ZoneData],
        row: Row,
        *,
        secret: bytes,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the zones with what they say of themselves.

        secret: of the cookies, SECRET_BYTES that all workers have in common. clock: Unix seconds.
        """
        self.resolver = resolver
        self.zones = Zones.of(zones)
        self.row = row
        self.clock = clock
        self.learned: Learn = lambda query, identifier, answer, records: None
        self._data = zones
        self._secret = secret
        self._monotonic = monotonic
        self._between: OrderedDict[str, tuple[float, bool]] = OrderedDict()

    def read(self, data: bytes) -> Query | bytes | None:
        """Read a message: a query, the answer to what is none, or nothing for no answer."""
        try:
            return read_query(data)
        except NoQuery as error:
            self.row.add("idnode_dns_dropped", error.reason)
        except BadQuery as error:
            self.row.add("idnode_dns_bad_queries", error.reason)
            self.row.add("idnode_dns_responses", error.code.name.lower())
            return error.response()
        return None

    def judge(self, query: Query, host: str) -> Judged:
        """Judge the cookie of a query that came from an address."""
        if query.edns is None or query.edns.version or not query.edns.cookie:
            return NONE
        address = ipaddress.ip_address(host.partition("%")[0]).packed
        return judge(query.edns.cookie, address, self._secret, self.clock())

    async def answer(self, query: Query, limit: int = MAX_TCP_BYTES, cookie: bytes = b"") -> bytes:
        """Answer a query within so many bytes, and count it."""
        started = perf_counter()
        outcome, identifier, result = await self._outcome(query)
        response = build(query, outcome, limit, cookie)
        self.row.add("idnode_dns_responses", outcome.rcode.name.lower())
        if result is not None:
            took = perf_counter() - started
            self.row.add("idnode_resolutions", "dns", result)
            self.row.observe("idnode_resolution_duration_seconds", "dns", result, seconds=took)
            self.resolver.count(identifier, result)
        return response

    async def _outcome(self, query: Query) -> tuple[Outcome, Identifier | None, str | None]:
        """Return what to answer, and of a resolution what was resolved and its result."""
        if query.edns is not None and query.edns.version:
            return Outcome(Rcode.BADVERS, authoritative=False), None, None
        zone = self.zones.find(query.labels) if query.class_ in (IN, ANY_CLASS) else None
        if zone is None or query.type in _TRANSFERS:
            return _REFUSED, None, None
        data = self._data[zone]
        fixed = _fixed(query, zone, data)
        if fixed is not None:
            return fixed, None, None
        identifier = identify(zone, query.labels)
        if identifier is None:
            between = may_be_between(zone, query.labels)
            return _nothing(data, exists=between), None, None if between else "invalid"
        try:
            return await self._resolved(query, zone, data, identifier)
        except IdnodeError as error:
            return _FAILED, identifier, RESULTS.get(error.response_code, "error")
        except Exception:
            log.exception("dns_query_failed", identifier=str(identifier))
            return _FAILED, identifier, "error"

    async def _resolved(
        self, query: Query, zone: Zone, data: ZoneData, identifier: Identifier
    ) -> tuple[Outcome, Identifier, str]:
        try:
            found = await self.resolver.resolve(identifier)
        except (HandleNotFound, ServerNotResponsible) as error:
            exists = isinstance(error, HandleNotFound) and await self._is_between(zone, identifier)
            return _nothing(data, exists=exists), identifier, "not_found"
        if not isinstance(found, Answer):
            # Another node has it, which says nothing of a name server: here the name has no record.
            return _nothing(data, exists=True), identifier, "referral"
        records = read_values(found.values(), zone.system, self.clock())
        if query.type == Type.ANY:
            return Outcome(Rcode.NOERROR, [_minimal(query)]), identifier, "found"
        if query.type != Type.NAPTR or not records.records:
            return _nothing(data, exists=True), identifier, "no_values"
        self.learned(query, identifier, found, records)
        return Outcome(Rcode.NOERROR, [_naptr(query, records)]), identifier, "found"

    async def _is_between(self, zone: Zone, identifier: Identifier) -> bool:
        """Whether nothing is registered of this name, but of names below it (RFC 8020)."""
        if zone.system != "ors" or identifier.prefix_key == PREFIX_HANDLE_PREFIX:
            return False
        key, now = identifier.key, self._monotonic()
        until, known = self._between.get(key, (0.0, False))
        if now < until:
            return known
        known = await self.resolver.read(
            lambda pool: store.has_below(pool, identifier.prefix_key, identifier.suffix_key)
        )
        self._between[key] = (now + ABSENT_SECONDS, known)
        if len(self._between) > MAX_BETWEEN:
            self._between.popitem(last=False)
        return known


def _fixed(query: Query, zone: Zone, data: ZoneData) -> Outcome | None:
    """Answer for the apex and for our own server, None for any other name."""
    folded = tuple(label.upper() for label in query.labels)
    if folded == zone.apex:
        if query.type == Type.ANY:
            return Outcome(Rcode.NOERROR, [_minimal(query)])
        records = {Type.SOA: data.soa, Type.NS: data.ns}
        found = next((rrset for type_, rrset in records.items() if query.type == type_), None)
        if found is None:
            return _nothing(data, exists=True)
        additional = data.addresses if query.type == Type.NS else ()
        return Outcome(Rcode.NOERROR, [found], additional=additional)
    if data.server and folded == data.server:
        answer = [rrset for rrset in data.addresses if rrset.rdtype == query.type]
        return Outcome(Rcode.NOERROR, answer) if answer else _nothing(data, exists=True)
    return None


def _nothing(data: ZoneData, *, exists: bool) -> Outcome:
    """Answer that there is no such name, or no such record of it (RFC 2308)."""
    return Outcome(Rcode.NOERROR if exists else Rcode.NXDOMAIN, authority=[data.absent])


def _minimal(query: Query) -> dns.rrset.RRset:
    """Answer ANY with one record that nobody wants (RFC 8482 section 4.2)."""
    rdata = dns.rdtypes.ANY.HINFO.HINFO(  # type: ignore[no-untyped-call]
        dns.rdataclass.IN, dns.rdatatype.HINFO, b"RFC8482", b""
    )
    return dns.rrset.from_rdata(name_of(query.labels), NEGATIVE_SECONDS, rdata)


def _naptr(query: Query, records: Records) -> dns.rrset.RRset:
    data = [
        dns.rdtypes.IN.NAPTR.NAPTR(  # type: ignore[no-untyped-call]
            dns.rdataclass.IN,
            dns.rdatatype.NAPTR,
            record.order,
            record.preference,
            record.flags.encode(),
            record.service.encode(),
            record.regexp.encode(),
            dns.name.root,
        )
        for record in records.records
    ]
    return dns.rrset.from_rdata_list(name_of(query.labels), records.ttl, data)
