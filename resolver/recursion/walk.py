"""The way from the root to an answer: what is asked next, without any I/O.

A walk is a generator. It yields questions, is sent what a server said of each, and returns the
answer; an error of whoever asks is thrown into it. For ``88.118.35/SN-1``:

1. the root is asked for ``0.NA/88.118.35``: where the prefix is served (RFC 3651 section 3.2). What
   refers elsewhere (302, 303) is followed with the same question.
2. one of the sites found there is asked for the identifier; referrals are followed again.

The sites of a prefix are remembered, so that the next of its identifiers is one question.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from protocol.errors import IdnodeError, PeerUnavailable, ResponseCode
from protocol.identifier import PREFIX_HANDLE_PREFIX, Identifier
from protocol.typed import (
    PLACE_TYPES,
    PREFIX_PLACE_TYPES,
    PREFIX_SERVICE,
    PREFIX_SITE_TYPES,
    SERVICE,
    SITE_TYPES,
)
from protocol.values import HandleValue, select
from resolver.client.exchange import REFERRALS, Answer
from resolver.recursion.model import Bounds, RecursionFailed
from resolver.recursion.places import HERE, Allows, Place, read_place

_MAX_SERVICES = 4


@dataclass(frozen=True, slots=True)
class Question:
    """Ask the place for the values of an identifier: of these types, all if none is given."""

    identifier: Identifier
    place: Place
    types: tuple[str, ...] = ()


Asked = tuple[Answer, Place]
"""An answer, and where it was given."""

Steps = Generator[Question, Answer, Asked | None]
"""A walk on its way."""


@dataclass(slots=True)
class Walk:
    """The way to one identifier.

    root: where it begins; None if that is not known. near, near_prefix: where it begins instead for
    what is under this prefix. own: whether an identifier is this node's, which asks itself then.
    known: returns the place of a prefix (in canonical spelling) that is remembered. learn: is told
    the place of a prefix, and the values that say so. allows: whether a server may be asked.
    refused: is told how many may not.
    """

    root: Place | None
    known: Callable[[str], Place | None]
    learn: Callable[[str, Place, Sequence[HandleValue]], None]
    allows: Allows
    bounds: Bounds
    refused: Callable[[int], None]
    own: Callable[[Identifier], bool] = lambda _identifier: False
    near: Place | None = None
    near_prefix: str = ""
    _left: int = field(init=False)
    _asked: set[tuple[str, Place, tuple[str, ...]]] = field(init=False, default_factory=set)
    _services: set[str] = field(init=False, default_factory=set)
    _any_refused: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._left = self.bounds.questions

    def find(
        self, identifier: Identifier, depth: int = 0
    ) -> Generator[Question, Answer, Asked | None]:
        """Walk to an identifier. Returns None if its prefix is not registered anywhere.

        Raises RecursionFailed, and PeerUnavailable as it was thrown in.
        """
        if self.own(identifier):
            return (yield from self._follow(identifier, HERE, depth))
        if identifier.prefix_key == PREFIX_HANDLE_PREFIX:
            return (yield from self._from_above(identifier, depth))
        known = self.known(identifier.prefix_key)
        if known is not None:
            try:
                return (yield from self._follow(identifier, known, depth))
            except PeerUnavailable:
                # It may have moved since: the way from the root tells, if it leads elsewhere.
                place = yield from self._place_of(identifier, depth)
                if place is None or place == known:
                    raise
        else:
            place = yield from self._place_of(identifier, depth)
        if place is None:
            return None
        return (yield from self._follow(identifier, place, depth))

    def at(
        self, identifier: Identifier, values: Sequence[HandleValue], *, of_prefix: bool
    ) -> Generator[Question, Answer, Asked]:
        """Walk on from where this node itself refers to: by values of HS_SITE and HS_SERV.

        Raises RecursionFailed, and PeerUnavailable as it was thrown in.
        """
        place = yield from self._place(values, identifier, None, 0, of_prefix=of_prefix)
        return (yield from self._follow(identifier, place, 0))

    def _place_of(
        self, identifier: Identifier, depth: int
    ) -> Generator[Question, Answer, Place | None]:
        """Return where the prefix of an identifier is served, None for nowhere."""
        handle = Identifier(PREFIX_HANDLE_PREFIX, identifier.prefix)
        answer, asked = yield from self._from_above(handle, depth, PLACE_TYPES)
        if answer.code != ResponseCode.SUCCESS:
            return None
        place = yield from self._place(answer.values, handle, asked, depth, of_prefix=False)
        self.learn(identifier.prefix_key, place, answer.values)
        return place

    def _from_above(
        self, handle: Identifier, depth: int, types: tuple[str, ...] = ()
    ) -> Generator[Question, Answer, Asked]:
        """Ask for a prefix handle from the nearest place that is known, else from the root."""
        if self.near is not None and handle.suffix_key == self.near_prefix:
            try:
                return (yield from self._follow(handle, self.near, depth, types))
            except PeerUnavailable:
                if self.root is None:
                    raise
        if self.root is None:
            raise RecursionFailed(f"{handle}: it is not known where to begin", "place")
        return (yield from self._follow(handle, self.root, depth, types))

    def _follow(
        self, identifier: Identifier, place: Place, depth: int, types: tuple[str, ...] = ()
    ) -> Generator[Question, Answer, Asked]:
        """Ask a place, and where it refers to, until there is an answer."""
        while True:
            key = (identifier.key, place, types)
            if key in self._asked:
                raise RecursionFailed(f"{identifier}: the referrals lead in a circle", "loop")
            if not self._left:
                raise RecursionFailed(
                    f"{identifier}: no answer after {self.bounds.questions} questions", "questions"
                )
            self._asked.add(key)
            self._left -= 1
            answer = yield Question(identifier, place, types)
            if answer.code not in REFERRALS:
                return answer, place
            place = yield from self._place(
                answer.values,
                identifier,
                place,
                depth,
                of_prefix=answer.code == ResponseCode.PREFIX_REFERRAL,
                handle=answer.handle,
            )

    def _place(
        self,
        values: Sequence[HandleValue],
        identifier: Identifier,
        asked: Place | None,
        depth: int,
        *,
        of_prefix: bool,
        handle: str | None = None,
    ) -> Generator[Question, Answer, Place]:
        """Return where values lead: to their sites, else to those of their services.

        A referral without values may name a handle that has them. What is of a prefix is first of
        all about what is derived from it. Raises RecursionFailed if that is nowhere.
        """
        place = self._sites(values, of_prefix=of_prefix)
        if place is None:
            for name in _services(values, handle, of_prefix=of_prefix):
                if name != identifier:
                    place = yield from self._service(name, asked, depth + 1, of_prefix=of_prefix)
                if place is not None:
                    break
        if place is not None:
            return place
        if self._any_refused:
            raise RecursionFailed(
                f"{identifier}: is at an address that this node must not ask", "refused"
            )
        raise RecursionFailed(f"{identifier}: nobody says where it can be asked for", "place")

    def _sites(self, values: Iterable[HandleValue], *, of_prefix: bool) -> Place | None:
        kinds = (PREFIX_SITE_TYPES, SITE_TYPES) if of_prefix else (SITE_TYPES,)
        for types in kinds:
            place, refused = read_place(select(values, types), self.allows)
            if refused:
                self._any_refused = True
                self.refused(refused)
            if place is not None:
                return place
        return None

    def _service(
        self, name: Identifier, asked: Place | None, depth: int, *, of_prefix: bool
    ) -> Generator[Question, Answer, Place | None]:
        """Return the sites of a service: by who named it, else from the root; None for none."""
        if depth > self.bounds.depth:
            raise RecursionFailed(f"{name}: a service of a service of a service", "depth")
        if name.key in self._services:
            raise RecursionFailed(f"{name}: the services lead in a circle", "loop")
        self._services.add(name.key)
        types = (*PREFIX_PLACE_TYPES, *PLACE_TYPES) if of_prefix else PLACE_TYPES
        found: Asked | None = None
        if asked is not None:
            try:
                found = yield from self._follow(name, asked, depth, types)
            except PeerUnavailable:
                found = None  # who named it need not know it
        if found is None or found[0].code != ResponseCode.SUCCESS:
            found = yield from self.find(name, depth)
        if found is None or found[0].code != ResponseCode.SUCCESS:
            return None
        answer, place = found
        leads_to = yield from self._place(answer.values, name, place, depth, of_prefix=of_prefix)
        self._services.remove(name.key)
        return leads_to


def _services(
    values: Sequence[HandleValue], handle: str | None, *, of_prefix: bool
) -> Iterator[Identifier]:
    """Yield the services that values name, or the handle of a referral without values."""
    names = [
        value.data.decode(errors="replace")
        for type_ in ((PREFIX_SERVICE, SERVICE) if of_prefix else (SERVICE,))
        for value in select(values, (type_,))
    ]
    if handle and not values:
        names.append(handle)
    for name in names[:_MAX_SERVICES]:
        try:
            yield Identifier.parse(name)
        except IdnodeError:
            continue  # no name of anything


async def walked(walk: Steps, ask: Callable[[Question], Awaitable[Answer]]) -> Asked | None:
    """Run a walk to its end. ask: returns what is said of a question, or raises RecursionFailed."""
    try:
        question = next(walk)
        while True:
            try:
                answer = await ask(question)
            except RecursionFailed as error:
                question = walk.throw(error)
            else:
                question = walk.send(answer)
    except StopIteration as end:
        found: Asked | None = end.value
        return found
