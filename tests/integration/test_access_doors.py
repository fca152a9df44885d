"""No door shows more than the one rule: random values, audiences, groups and requesters.

What each requester may see is worked out here by itself, from what was registered.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration import access_support
from tests.integration.access_support import Town, bearer, proof, word
from tests.integration.registry_client import Node
from tests.integration.rest_support import value

GROUPS = ("buyers", "partners", "empty")
_EVERYBODY_ONLY = ("script", "public only")
_SOME = ("link set", "redirect")
_OWNERS = ("identifier", "history", "list", "export", "csv")


@dataclass(frozen=True)
class Value:
    """A value as the test remembers it. secret_even_to: administrators by HS_ADMIN."""

    index: int
    word: str
    audience: str
    partners: tuple[str, ...]
    secret_even_to: bool
    link: bool

    def body(self) -> dict[str, Any]:
        access: dict[str, Any] = {"audience": self.audience}
        if self.partners and self.partners != ("group:partners",):
            access["partners"] = list(self.partners)
        more: dict[str, Any] = {"access": access}
        if self.secret_even_to:
            more["permissions"] = "0100" if self.audience != "public" else "0110"
        if self.link:
            return value(self.index, f"https://x.example/{self.word}", "URL", **more)
        return value(self.index, self.word, "NOTE", **more)


@dataclass(frozen=True)
class Who:
    """A requester. names: what partners may call it; sees: "all", "administrator" or "shared"."""

    title: str
    auth: str | None
    sees: str = "shared"
    names: frozenset[str] = frozenset()
    token: str | None = None
    identity: str | None = None

    def may_see(self, one: Value, groups: dict[str, set[str]]) -> bool:
        if one.audience == "public" or self.sees == "all":
            return True
        if self.sees == "administrator" and not one.secret_even_to:
            return True
        called = self.names | {f"group:{name}" for name in groups if groups[name] & self.names}
        return one.audience == "partners" and bool(called & set(one.partners))


@dataclass
class Book:
    """What is registered now: the values of each suffix, and who is in which group."""

    town: Town
    chance: random.Random
    identifiers: dict[str, list[Value]] = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in GROUPS})
    words: int = 0

    @property
    def partners(self) -> list[str]:
        town = self.town
        return [
            town.friend.partner,
            town.stranger.partner,
            town.friend.identity,
            town.friend.person,
            town.stranger.person,
            f"0:{town.stranger.prefix}/PERSON",
            f"0:0.NA/{town.friend.prefix}",
            "300:20.500.1/ELSEWHERE",
        ]

    def value(self, index: int) -> Value:
        self.words += 1
        audience = self.chance.choice(("public", "partners", "partners", "private"))
        partners: tuple[str, ...] = ()
        if audience == "partners":
            names = [*self.partners, *(f"group:{name}" for name in GROUPS)]
            partners = tuple(self.chance.sample(names, self.chance.randint(1, 3)))
        return Value(
            index,
            word(self.words),
            audience,
            partners,
            secret_even_to=self.chance.random() < 0.3,
            link=self.chance.random() < 0.4,
        )

    async def write(self, suffix: str) -> None:
        indexes = self.chance.sample(range(1, 60), self.chance.randint(0, 6))
        values = [self.value(index) for index in indexes]
        await self.town.put(suffix, [one.body() for one in values])
        self.identifiers[suffix] = values

    async def regroup(self) -> None:
        for name in GROUPS[:-1]:
            members = self.chance.sample(self.partners, self.chance.randint(0, 3))
            await self.town.group(name, *members)
            self.groups[name] = set(members)


async def _requesters(town: Town) -> list[Who]:
    def names(works: access_support.Works) -> frozenset[str]:
        return frozenset((works.partner,))

    def identity(works: access_support.Works, name: str) -> frozenset[str]:
        own = {name, f"0:{name.partition(':')[2]}"}
        return frozenset(own | ({works.partner} if name == works.identity else set()))

    made = [Who("anybody", None)]
    for title, token, sees, called in (
        ("owner", town.owner.key, "all", names(town.owner)),
        ("operator", town.node.operator, "all", frozenset[str]()),
        ("reviewer", town.node.reviewer, "all", frozenset[str]()),
        ("friend", town.friend.key, "shared", names(town.friend)),
        ("stranger", town.stranger.key, "shared", names(town.stranger)),
    ):
        made.append(Who(title, bearer(token), sees, called, token=token))
    for works, name in (
        (town.owner, town.owner.identity),
        (town.friend, town.friend.identity),
        (town.friend, town.friend.person),
        (town.stranger, town.stranger.identity),
        (town.stranger, town.stranger.person),
    ):
        sees = "administrator" if name == town.owner.identity else "shared"
        who = Who(name, proof(name), sees, identity(works, name), identity=name)
        made.append(who)
    return made


@pytest.fixture
async def town(node: Node, tmp_path: Path) -> AsyncIterator[Town]:
    async with access_support.town(node, tmp_path) as town:
        yield town


@pytest.mark.parametrize("seed", [20260101, 20260102])
@pytest.mark.timeout(180)
async def test_no_door_shows_more_than_the_rule(town: Town, seed: int) -> None:
    book = Book(town, random.Random(seed))
    requesters = await _requesters(town)
    shown = hidden = 0
    for step in range(2):
        for number in range(4):
            await book.write(f"SN-{number}")
        await book.regroup()
        for who in requesters:
            for suffix, values in book.identifiers.items():
                seen = {one.word for one in values if who.may_see(one, book.groups)}
                shown, hidden = shown + len(seen), hidden + len(values) - len(seen)
                await _resolution(town, who, suffix, values, seen)
                if who.token is not None:
                    await _registry(town, who, suffix, seen)
        assert step == 0 or (shown and hidden), "a rule that is tried with one outcome is not tried"


async def _resolution(
    town: Town, who: Who, suffix: str, values: list[Value], seen: set[str]
) -> None:
    public = {one.word for one in values if one.audience == "public"}
    links = {one.word for one in values if one.link}
    for door, found in (await town.doors(suffix, who.auth)).items():
        place = (who.title, door, suffix)
        if door in _EVERYBODY_ONLY:
            assert found == public, place
        elif door == "link set":
            assert found == seen & links, place
        elif door == "redirect":
            assert found <= seen, place
            assert bool(found) == bool(seen), place
        else:
            assert found == seen, place
    if who.token is None:  # the Handle protocol knows no bearer tokens
        indexes = tuple(one.index for one in values)
        for asked in ((), indexes, indexes[:1]) if values else ((),):
            wanted = {one.word for one in values if not asked or one.index in asked}
            told = await town.wire(suffix, who.identity, asked)
            if told is None:
                assert who.identity is None
                assert not public or not wanted <= public, "a challenge without a need"
            else:
                assert told == seen & wanted, (who.title, "wire", suffix, asked)


async def _registry(town: Town, who: Who, suffix: str, seen: set[str]) -> None:
    for door, (status, found) in (await town.registry_doors(suffix, who.token or "")).items():
        place = (who.title, door, suffix, status)
        if door == "shared":
            assert (status, found) == (200 if seen else 404, seen), place
        elif who.sees == "all":
            assert status == 200, place
            assert found >= seen or door not in _OWNERS, place
        else:
            assert (status, found) == (403, set()), place
