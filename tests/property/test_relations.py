"""Random statements, deletions and views of two enterprises, beside a plain model."""

from __future__ import annotations

import copy
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

from registry.database import Database
from registry.relations.model import AUDIENCES, INVERSE, KINDS
from tests.integration.registry_client import Node, running
from tests.integration.relations_support import ELSEWHERE, Works, at

STEPS = 120
OPERATOR = "operator"

Statement = tuple[str, str, str]


@dataclass
class Model:
    """What is registered and stated; a prefix tells the owner."""

    registered: set[str] = field(default_factory=set)
    stated: dict[Statement, str] = field(default_factory=dict)

    @staticmethod
    def stored(subject: str, kind: str, target: str) -> Statement:
        """The form in which both spellings of one statement are the same."""
        if kind == "contains" and _prefix(subject) == _prefix(target):
            return target, "part-of", subject
        return subject, kind, target

    def sees(self, viewer: str, statement: Statement) -> bool:
        """Whether it is told to the owner of a prefix, or to an operator."""
        subject, _, target = statement
        audience = self.stated[statement]
        return (
            viewer in (OPERATOR, _prefix(subject))
            or audience == "public"
            or (audience == "partners" and viewer == _prefix(target))
        )

    def links(self, viewer: str, kind: str) -> set[tuple[str, str, str, str]]:
        """What leads to what, of parts from the part to the whole: with its kind and its maker."""
        found = set()
        for subject, stated, target in self.stated:
            if self.sees(viewer, (subject, stated, target)):
                if stated == kind:
                    found.add((subject, target, stated, _prefix(subject)))
                elif (stated, kind) == ("contains", "part-of"):
                    found.add((target, subject, stated, _prefix(subject)))
        return found

    def pairs(self, viewer: str, kind: str) -> set[tuple[str, str]]:
        """What leads to what; of parts: from the part to the whole."""
        return {link[:2] for link in self.links(viewer, kind)}

    def refuses(self, viewer: str, statement: Statement) -> bool:
        """Whether stating it is refused."""
        subject, kind, target = statement
        if subject == target or subject not in self.registered:
            return True
        if target not in self.registered and target != ELSEWHERE:
            return True
        trial = copy.deepcopy(self)
        stored = self.stored(*statement)
        trial.stated[stored] = "public"
        if kind == "contains":
            subject, kind, target = target, "part-of", subject
        links, maker = trial.links(viewer, kind), _prefix(statement[0])
        ways = (
            {
                (part, whole)
                for part, whole, stated, by in links
                if stated == of_all or by == maker or _prefix(part) == _prefix(whole)
            }
            for of_all in (kind, INVERSE.get(kind, kind))
        )
        return any(subject in _reached(way, target) for way in ways)

    def delete(self, name: str) -> None:
        """Delete an identifier."""
        self.registered.discard(name)
        self.stated = {each: aud for each, aud in self.stated.items() if name not in each[::2]}

    def walk(self, viewer: str, start: str, depth: int, *, down: bool) -> set[tuple[str, str, int]]:
        """Each pair of what is reached and where it hangs, at its least level."""
        pairs = self.pairs(viewer, "part-of")
        steps = {(whole, part) for part, whole in pairs} if down else pairs
        level, found = {start}, {}
        for number in range(1, depth + 1):
            for where, to in steps:
                if where in level:
                    found.setdefault((to, where), number)
            level = {to for where, to in steps if where in level}
        return {(to, where, number) for (to, where), number in found.items()}

    def of(self, name: str) -> set[Statement]:
        """What is stated of an identifier, from its own side."""
        own = {each for each in self.stated if each[0] == name}
        inverted = {
            (whole, "contains", part)
            for part, kind, whole in self.stated
            if kind == "part-of" and whole == name and _prefix(part) == _prefix(whole)
        }
        return own | inverted

    def about(self, viewer: str, name: str) -> set[Statement]:
        """What is stated about it."""
        return {each for each in self.stated if each[2] == name and self.sees(viewer, each)}


def _prefix(name: str) -> str:
    return name.partition("/")[0]


def _reached(pairs: set[tuple[str, str]], start: str) -> set[str]:
    seen, new = set(), {start}
    while new:
        seen |= new
        new = {to for at_, to in pairs if at_ in new} - seen
    return seen


@pytest.fixture
async def node(database: Database) -> AsyncIterator[Node]:
    async with running(database) as node:
        yield node


@dataclass
class Course:
    """One random course of events."""

    dice: random.Random
    model: Model
    owners: dict[str, Works]
    names: list[str]

    async def step(self) -> None:
        """Do something to both, and compare what came of it."""
        works = self.owners[_prefix(name := self.dice.choice(self.names))]
        chance = self.dice.random()
        if chance < 0.1:
            await works.register(name)
            self.model.registered.add(name)
        elif chance < 0.16:
            status, _, _ = await works.node.call("DELETE", f"/identifiers/{name}", works.key)
            assert status == (204 if name in self.model.registered else 404)
            self.model.delete(name)
        else:
            target = self.dice.choice([*self.names, ELSEWHERE])
            statement = (name, self.dice.choice(KINDS[:3]), target)
            if chance < 0.3:
                await self._take_back(works, statement)
            else:
                await self._state(works, statement)

    async def _take_back(self, works: Works, statement: Statement) -> None:
        status, answer = await works.take_back(*statement)
        stored = self.model.stored(*statement)
        if statement[0] == statement[2]:
            assert status == 422, answer
        else:
            assert (status == 204) == (stored in self.model.stated), (statement, answer)
        self.model.stated.pop(stored, None)

    async def _state(self, works: Works, statement: Statement) -> None:
        audience = self.dice.choice(AUDIENCES)
        stored = self.model.stored(*statement)
        status, answer = await works.state(*statement, audience)
        if self.model.stated.get(stored) == audience:
            expected = (200,)
        elif self.model.refuses(works.prefix, statement):
            expected = (409, 422)
        else:
            expected = (200,) if stored in self.model.stated else (201,)
        assert status in expected, (statement, audience, answer)
        if status in (200, 201):
            self.model.stated[stored] = audience

    async def look(self) -> None:
        """Compare what one of the three is shown."""
        name = self.dice.choice(sorted(self.model.registered) or [None])
        if name is None:
            return
        works = self.owners[_prefix(name)]
        viewer = self.dice.choice([works.prefix, OPERATOR])
        token = works.key if viewer == works.prefix else works.node.operator
        depth = self.dice.randint(1, 6)
        limit = self.dice.choice([1, 3, 100])
        await self._compare(
            works, (name, viewer, token), self.model, f"depth={depth}&limit={limit}"
        )
        about = await works.items(name, f"relations?direction=in&limit={limit}", token)
        assert _statements(about) == self.model.about(viewer, name)

    async def _compare(
        self, works: Works, look: tuple[str, str, str], model: Model, query: str
    ) -> None:
        name, viewer, token = look
        depth = int(query.partition("depth=")[2].partition("&")[0])
        for what, where, down in (("parts", "whole", True), ("where-used", "part", False)):
            items = await works.items(name, f"{what}?{query}", token)
            shown = [(item["handle"], item[where], item["depth"]) for item in items]
            assert len(shown) == len(set(shown))
            assert set(shown) == model.walk(viewer, name, depth, down=down), (what, look, query)
        stated = await works.items(name, f"relations?{query.partition('&')[2]}", token)
        assert _statements(stated) == model.of(name)

    async def look_back(self, moment: str, then: Model) -> None:
        """Compare what is told of the past."""
        name = self.dice.choice(self.names)
        works = self.owners[_prefix(name)]
        look = (name, OPERATOR, works.node.operator)
        await self._compare(works, look, then, f"depth=6&{at(moment)}")
        own = await works.items(name, f"relations?{at(moment)}")
        assert _statements(own) == then.of(name)


def _statements(items: list[Any]) -> set[Statement]:
    found = [(item["subject"], item["kind"], item["target"]) for item in items]
    assert len(found) == len(set(found))
    return set(found)


@pytest.mark.parametrize("seed", range(4))
async def test_relations_do_what_the_model_says(node: Node, database: Database, seed: int) -> None:
    works = [await Works.make(node, number) for number in (1, 2)]
    names = [each.name(f"N{number}") for each in works for number in range(4)]
    for each in works:
        await each.register(*(name for name in names if _prefix(name) == each.prefix))
    model = Model(registered=set(names))
    owners = {each.prefix: each for each in works}
    course = Course(random.Random(seed), model, owners, names)
    sql = await asyncpg.connect(database.url)
    past: list[tuple[str, Model]] = []
    for _ in range(STEPS):
        await course.step()
        await course.look()
        moment = await sql.fetchval("SELECT clock_timestamp()")
        past.append((moment.isoformat(), copy.deepcopy(model)))
    await sql.close()
    for moment, then in past[::4]:
        await course.look_back(moment, then)
