"""Prefix handles: what is known of prefix ``88.118.35`` stands under ``0.NA/88.118.35``.

They are identifiers like others, in the table `identifiers` under the prefix ``0.NA``; who owns
the prefix owns its handle. Who may administer the identifiers of a prefix over the Handle protocol
is said there, by HS_ADMIN (RFC 3651 section 3.2.1): the holder of a key at index 300, or of a
secret at 301, which the enterprise puts there itself.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from protocol import json_api, typed
from protocol.errors import InvalidValue
from protocol.identifier import PREFIX_HANDLE_PREFIX, Identifier
from protocol.values import HandleValue
from registry import audit
from registry.schema import identifiers
from registry.services import Work

ADMIN_INDEX, GROUP_INDEX, KEY_INDEX, SECRET_INDEX = 100, 200, 300, 301
"""Where a prefix handle has HS_ADMIN, the HS_VLIST it names, a public key and a secret key."""

SITE_INDEX = 1
"""Where the node itself says by which site the prefix is served. No owner writes there."""

ALL_PERMISSIONS = "1" * 12

POWERS = frozenset({"HS_ADMIN", "HS_VLIST", "HS_PUBKEY", "HS_SECKEY", "HS_CERT", "HS_SIGNATURE"})
"""Types of values that say who may do what, and by which keys."""


def owner_prefix(identifier: Identifier) -> str:
    """Return the prefix whose owner the identifier belongs to."""
    if identifier.prefix_key == PREFIX_HANDLE_PREFIX:
        return identifier.suffix_key
    return identifier.prefix_key


def check_indexes(identifier: Identifier, values: Iterable[HandleValue]) -> None:
    """Raise InvalidValue for a value of a prefix handle at the index that is the node's.

    Two values with one index would be no handle. (The other way out, the first index that is free,
    would tell everybody that a value stands there which not everybody may see.)
    """
    if identifier.prefix_key != PREFIX_HANDLE_PREFIX:
        return
    for position, value in enumerate(values):
        if value.index == SITE_INDEX:
            raise InvalidValue(
                f"index {SITE_INDEX} of a prefix handle is the node's: it says there which"
                " site serves the prefix",
                field=f"values[{position}].index",
            )


def first_values(prefix: str, timestamp: int) -> list[HandleValue]:
    """Return the values that a prefix handle begins with. timestamp: Unix seconds."""
    handle = f"{PREFIX_HANDLE_PREFIX}/{prefix}"
    group = {"handle": handle, "index": GROUP_INDEX, "permissions": ALL_PERMISSIONS}
    members = [{"handle": handle, "index": index} for index in (KEY_INDEX, SECRET_INDEX)]
    return [
        HandleValue(ADMIN_INDEX, "HS_ADMIN", typed.admin_from_json(group), timestamp=timestamp),
        HandleValue(GROUP_INDEX, "HS_VLIST", typed.vlist_from_json(members), timestamp=timestamp),
    ]


async def ensure(work: Work, prefix: str) -> None:
    """Make the prefix handle of a hosted prefix if it is not there; what is there stays."""
    first = first_values(prefix, int(work.now.timestamp()))
    values = [json_api.encode_value(value) for value in first]
    await audit.name_writer(work.connection, work.principal.actor)
    made = await work.connection.execute(
        insert(identifiers)
        .values(
            prefix=PREFIX_HANDLE_PREFIX,
            suffix_key=prefix,
            suffix=prefix,
            values=values,
        )
        .on_conflict_do_nothing()
    )
    if made.rowcount:
        attested = audit.of_values(values)
        await work.audit("identifier.put", f"{PREFIX_HANDLE_PREFIX}/{prefix}", attested)
        work.changes(PREFIX_HANDLE_PREFIX, [prefix])


async def renew(work: Work, prefix: str) -> None:
    """Take everybody's power from a prefix handle: its holder is another one from now on.

    Administrators and keys go, and what a prefix handle begins with comes; the rest stays.
    """
    here = (identifiers.c.prefix == PREFIX_HANDLE_PREFIX, identifiers.c.suffix_key == prefix)
    query = sa.select(identifiers.c["values"]).where(*here).with_for_update()
    before = await work.connection.scalar(query)
    if before is None:
        return
    first = [
        json_api.encode_value(value) for value in first_values(prefix, int(work.now.timestamp()))
    ]
    taken = {value["index"] for value in first}
    kept = [
        value
        for value in before
        if value["type"].upper() not in POWERS and value["index"] not in taken
    ]
    values = sorted((*first, *kept), key=lambda value: int(value["index"]))
    await audit.name_writer(work.connection, work.principal.actor)
    await work.connection.execute(
        identifiers.update().where(*here).values({identifiers.c["values"]: values})
    )
    handle = f"{PREFIX_HANDLE_PREFIX}/{prefix}"
    await work.audit("identifier.put", handle, audit.of_values(values))
    work.changes(PREFIX_HANDLE_PREFIX, [prefix])
