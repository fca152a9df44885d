"""The one transaction of a batch.

Locks are taken in the order that all writers keep: templates, prefixes, identifiers, each by their
names. An identifier stands in one operation of a batch alone, so that their order does not matter.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence

from protocol.errors import (
    HandleNotFound,
    IdnodeError,
    InvalidValue,
)
from registry import identifiers, raw
from registry.batch import statements, writing
from registry.batch.model import (
    MAX_PREFIXES,
    MAX_TEMPLATES,
    Course,
    Item,
    Key,
    Operation,
    Put,
    Result,
    check_count,
    columns,
)
from registry.prefix_handles import check_indexes, owner_prefix
from registry.principals import OPERATOR
from registry.services import Work
from registry.templates import lookup as templates
from registry.templates.checker import InvalidItem, text_of
from registry.templates.names import check_not_reserved

_AT_ONCE = 50
"""Operations that are worked on until others on the event loop have their turn: some 5 ms."""

SECONDS = 30.0
"""Time that the transaction of a batch may take."""


async def run(
    work: Work,
    operations: Sequence[Operation | IdnodeError],
    *,
    atomic: bool = True,
    single: bool = False,
) -> Result:
    """Do all operations; what each of them did, in their order.

    An error among them stands for an operation that could not be read. single: they are puts that
    came each by itself, and the audit log tells of each. atomic: all or nothing, and
    the first error is raised, with ``operations[n]`` before its field; otherwise what is refused
    leaves the others be. Raises InvalidValue for a batch that is empty or too large,
    InsufficientPermission for who writes nowhere.
    """
    require_writer(work)
    check_count(operations)
    course = Course(len(operations), atomic=atomic)
    await _read(work, course, operations)
    await _hold_templates(work, course)
    await _hold_prefixes(work, course)
    await _hold_identifiers(work, course)
    await _judge(course)
    await _refuse_unregistered(work, course)
    made = uuid.uuid4()
    await writing.write(work, course, None if single else made)
    outcomes = [each for each in course.outcomes if each is not None]
    assert len(outcomes) == len(operations)  # noqa: S101  (each is done or refused)
    return Result(made, outcomes)


def require_writer(work: Work) -> None:
    """Let pass who may write somewhere. Raises InsufficientPermission."""
    own = work.principal.enterprise_id
    work.principal.require(OPERATOR, enterprise=own, scope="identifiers:write")


async def _read(work: Work, course: Course, operations: Sequence[Operation | IdnodeError]) -> None:
    """Decode the values of each operation, and refuse those on an identifier that stood before."""
    for position, operation in enumerate(operations):
        if position % _AT_ONCE == 0:
            await asyncio.sleep(0)
        if isinstance(operation, IdnodeError):
            course.refuse_at(position, operation)
            continue
        try:
            item = _item(work, position, operation)
        except IdnodeError as error:
            course.refuse_at(position, error)
            continue
        earlier = course.items.setdefault(item.key, item)
        if earlier is not item:
            repeated = InvalidValue(
                f"the identifier stands in operations[{earlier.position}] already",
                field="identifier",
            )
            course.refuse_at(position, repeated)


def _item(work: Work, position: int, operation: Operation) -> Item:
    identifier = operation.identifier
    key = (identifier.prefix_key, identifier.suffix_key)
    check_not_reserved(key[1])
    item = Item(position, operation, key, owner_prefix(identifier))
    if isinstance(operation, Put):
        item.template = operation.template
        item.decoded = identifiers.decode(work, operation.values)
        check_indexes(identifier, item.decoded)
    return item


async def _hold_templates(work: Work, course: Course) -> None:
    """Find the templates that are named and hold their states."""
    named: defaultdict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in course.puts:
        if item.template is not None:
            named[item.key[0], item.template].append(item)
    if len(named) > MAX_TEMPLATES:
        raise InvalidValue(f"a batch names at most {MAX_TEMPLATES} templates", field="operations")
    for (prefix, text), items in sorted(named.items()):
        try:
            wanted = await templates.wanted(work, prefix, text)
        except InvalidValue as error:
            _refuse_all(course, items, error)
            continue
        for item in items:
            item.wanted = wanted


def _refuse_all(course: Course, items: Iterable[Item], error: IdnodeError) -> None:
    for item in items:
        course.refuse(item, error)


async def _hold_prefixes(work: Work, course: Course) -> None:
    """Refuse what the caller may not write, and hold the states of the prefixes of the rest."""
    under: defaultdict[str, list[Item]] = defaultdict(list)
    for item in course.items.values():
        under[item.owner].append(item)
    if len(under) > MAX_PREFIXES:
        raise InvalidValue(
            f"a batch writes under at most {MAX_PREFIXES} prefixes", field="operations"
        )
    # The prefix of the node itself is not registered: it is asked for as any, and has no state.
    rows = await raw.fetch(
        work.connection, statements.Owned, statements.OWNERS, sorted(under), work.principal.actor
    )
    found = {row.prefix: row for row in rows}
    for owner, items in sorted(under.items(), key=lambda entry: entry[1][0].position):
        try:
            if owner == work.node_prefix:
                work.principal.require(OPERATOR)
            else:
                identifiers.check_writable(work, owner, found[owner])
        except IdnodeError as error:
            _refuse_all(course, items, error)


async def _hold_identifiers(work: Work, course: Course) -> None:
    """Lock what is there already, and learn its versions."""
    asked = columns(sorted(course.items)).values()
    for row in await raw.fetch(work.connection, statements.Found, statements.LOOK, *asked):
        item = course.items[row.prefix, row.suffix_key]
        item.version, item.held, item.member = row.version, row.template, row.member


async def _judge(course: Course) -> None:
    """Refuse what conditions, templates and limits do not allow, and encode the rest."""
    for number, item in enumerate(list(course.items.values())):
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
        try:
            item.operation.when.check(item.version)
            if isinstance(item.operation, Put):
                _check(item)
            elif item.version is None:
                raise HandleNotFound(f"{item.operation.identifier} is not registered")
        except IdnodeError as error:
            course.refuse(item, error)


def _check(item: Item) -> None:
    if item.wanted is None:
        item.encoded = identifiers.encode(item.decoded)
        return
    checker = item.checker = item.wanted.usable(item.held)
    checker.check(item.decoded)
    item.encoded = identifiers.encode(checker.restrict(item.decoded))
    item.named = checker.to_be_registered([text_of(value) for value in item.decoded])


async def _refuse_unregistered(work: Work, course: Course) -> None:
    """Refuse what names identifiers that are not registered once the batch is done.

    What is refused takes with it what relied on it.
    """
    naming: defaultdict[Key, list[Item]] = defaultdict(list)
    for item in course.puts:
        for _, target in item.named:
            naming[target.prefix_key, target.suffix_key].append(item)
    if not naming:
        return
    absent = await templates.missing(work, sorted(naming))
    put = {item.key for item in course.puts}
    gone = absent - put | {item.key for item in course.deletions} & naming.keys()
    waiting = sorted(gone)
    while waiting:
        for item in naming[waiting.pop()]:
            if item.key not in course.items:
                continue
            course.refuse(item, _fault(item, gone))
            if item.key in absent:
                gone.add(item.key)
                waiting.append(item.key)


def _fault(item: Item, gone: set[Key]) -> InvalidItem:
    assert item.checker is not None  # noqa: S101  (it has said what must be registered)
    for index, target in item.named:
        if (target.prefix_key, target.suffix_key) in gone:
            fault = item.checker.not_registered(index, target)
            return InvalidItem.at_value(fault, item.decoded, None)
    raise AssertionError("every identifier that the operation names is registered")
