"""Whatever is done to the audit log behind the back of its triggers is found, and where."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from protocol import merkle, tree_head
from protocol.tree_head import TreeHead
from registry.database import Database
from registry.transparency import leaf, verification
from registry.transparency.findings import Kind, Report
from registry.transparency.heads import SignedHead
from tests.integration.log_support import KEY, NOW, OTHER_KEY, as_superuser, grow, write

SIZES = (5, 20, 40)
LINES = sum(SIZES)


async def verify(database: Database, **more: Any) -> Report:
    return await verification.verify(database, page=7, **more)


def found(report: Report) -> list[tuple[Kind, int | None]]:
    return [(each.kind, each.seq) for each in report.findings]


async def test_a_log_that_nobody_touched_is_whole(database: Database) -> None:
    assert (await verify(database)).whole
    signed = await grow(database, *SIZES)
    await write(database, 3)
    report = await verify(database, key=KEY.public_key(), kept=signed[0])
    assert report.findings == []
    assert (report.entries, report.signed, report.heads) == (LINES, LINES, len(SIZES) + 1)
    assert report.waiting == 3
    assert report.log_ids == [tree_head.log_id(KEY.public_key()).hex()]
    big_pages = await verification.verify(database)
    assert (big_pages.findings, big_pages.waiting) == ([], 3)


@pytest.mark.parametrize(
    "change",
    [
        "at = at + interval '1 microsecond'",
        "at = 'infinity'",
        "at = at - interval '4000 years'",
        "actor = actor || ' '",
        "action = 'identifier.patch'",
        "subject = lower(subject)",
        "detail = detail || '{\"version\": 7.0}'",
        "detail = 'null'",
        "request_id = NULL",
        "request_id = 'null'",
    ],
)
async def test_a_line_that_is_altered_in_any_column_is_named(
    database: Database, change: str
) -> None:
    await grow(database, *SIZES)
    await as_superuser(database, f"UPDATE audit_log SET {change} WHERE seq = 7")
    assert found(await verify(database)) == [(Kind.ALTERED, 7)]


async def test_a_line_that_is_deleted_is_named(database: Database) -> None:
    await grow(database, *SIZES)
    await as_superuser(database, "DELETE FROM audit_log WHERE seq IN (1, 30, 65)")
    report = await verify(database)
    assert found(report) == [(Kind.DELETED, 1), (Kind.DELETED, 30), (Kind.DELETED, 65)]


async def test_a_line_that_is_given_another_number_is_told(database: Database) -> None:
    await grow(database, *SIZES)
    await as_superuser(
        database,
        "ALTER TABLE audit_log ALTER seq DROP IDENTITY",
        "UPDATE audit_log SET seq = 1000 WHERE seq = 7",
    )
    report = await verify(database)
    assert (Kind.DELETED, 7) in found(report)
    assert report.waiting == 1


async def test_lines_that_change_places_are_told_with_their_former_ones(
    database: Database,
) -> None:
    await grow(database, *SIZES)
    await as_superuser(
        database,
        "ALTER TABLE audit_log ALTER seq DROP IDENTITY",
        "UPDATE audit_log SET seq = -seq WHERE seq IN (7, 9)",
        "UPDATE audit_log SET seq = CASE seq WHEN -7 THEN 9 ELSE 7 END WHERE seq < 0",
    )
    report = await verify(database)
    assert [(each.kind, each.seq, each.other) for each in report.findings] == [
        (Kind.REORDERED, 7, 9),
        (Kind.REORDERED, 9, 7),
    ]


async def test_lines_that_change_places_in_the_tree_are_told(database: Database) -> None:
    await grow(database, *SIZES)
    await as_superuser(
        database,
        "UPDATE log_entries SET leaf_index = leaf_index + 1000 WHERE leaf_index IN (6, 8)",
        "UPDATE log_entries SET leaf_index = CASE leaf_index WHEN 1006 THEN 8 ELSE 6 END"
        " WHERE leaf_index > 1000",
    )
    report = await verify(database)
    (node, *_) = report.findings
    assert node.kind is Kind.NODE
    assert (node.first, node.last) == (0, 15)


async def test_a_line_that_is_inserted_among_old_ones_is_named(database: Database) -> None:
    await grow(database, *SIZES)
    await as_superuser(
        database,
        "INSERT INTO audit_log (seq, actor, action, subject) OVERRIDING SYSTEM VALUE"
        " VALUES (-5, 'account:root', 'identifier.put', '88.118.1/B')",
        "INSERT INTO audit_log (seq, actor, action, subject) OVERRIDING SYSTEM VALUE"
        " VALUES (0, 'account:root', 'identifier.put', '88.118.1/B')",
    )
    assert sorted(found(await verify(database))) == [(Kind.INSERTED, -5), (Kind.INSERTED, 0)]


async def forge(database: Database, seq: int) -> None:
    """Alter a line and its hash in the tree."""
    await as_superuser(
        database,
        f"UPDATE audit_log SET actor = 'account:nobody' WHERE seq = {seq}",
        f"UPDATE log_entries AS e SET leaf_hash = {leaf.HASH} FROM audit_log AS a"
        f" WHERE a.seq = e.seq AND e.seq = {seq}",
    )


async def test_a_line_altered_with_its_hash_is_found_by_the_node_above(
    database: Database,
) -> None:
    await grow(database, *SIZES)
    await forge(database, 20)
    report = await verify(database)
    node = next(report.of(Kind.NODE))
    assert (node.first, node.last) == (16, 31)
    head = next(report.of(Kind.HEAD))
    assert (head.first, head.last) == (5, 24), "the former head still holds"


async def rebuild(database: Database) -> None:
    """Write all nodes anew over the hashes as they are now."""
    async with database.begin() as connection:
        rows = await connection.execute(
            sa.text("SELECT leaf_hash FROM log_entries ORDER BY leaf_index")
        )
        hashes = [row.leaf_hash for row in rows]
    tree = merkle.Frontier()
    made: list[tuple[int, int, bytes]] = []
    for each in hashes:
        tree.append(each, lambda *node: made.append(node))
    await as_superuser(
        database,
        *(
            f"UPDATE log_nodes SET hash = decode('{value.hex()}', 'hex')"
            f" WHERE level = {level} AND number = {number}"
            for level, number, value in made
        ),
    )


async def test_a_line_altered_with_the_whole_tree_is_found_by_the_next_head(
    database: Database,
) -> None:
    await grow(database, *SIZES)
    await forge(database, 20)
    await rebuild(database)
    (head,) = (await verify(database)).findings
    assert (head.kind, head.first, head.last) == (Kind.HEAD, 5, 24)
    assert head.timestamp == (NOW + 1) * 1000


async def sign_again(database: Database, key: Any) -> list[SignedHead]:
    """Sign all heads anew over the tree as it is now."""
    async with database.begin() as connection:
        leaves = await connection.execute(
            sa.text("SELECT leaf_hash FROM log_entries ORDER BY leaf_index")
        )
        hashes = [row.leaf_hash for row in leaves]
        rows = (await connection.execute(sa.text("SELECT * FROM log_heads"))).all()
        await connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        made = []
        for row in rows:
            tree = merkle.Frontier()
            for each in hashes[: row.tree_size]:
                tree.append(each)
            head = TreeHead(row.timestamp, row.tree_size, tree.root)
            signed = SignedHead(
                head, tree_head.sign(head, key), tree_head.encode_key(key.public_key())
            )
            await connection.execute(
                sa.text(
                    "UPDATE log_heads SET root_hash = :root, signature = :signature,"
                    " public_key = :key WHERE tree_size = :size"
                ),
                {
                    "root": head.root,
                    "signature": signed.signature,
                    "key": signed.public_key,
                    "size": head.size,
                },
            )
            made.append(signed)
    return made


async def test_who_signs_all_anew_is_found_by_the_key_and_by_a_head_kept_elsewhere(
    database: Database,
) -> None:
    kept = (await grow(database, *SIZES))[1]
    await forge(database, 20)
    await rebuild(database)
    await sign_again(database, OTHER_KEY)
    assert (await verify(database)).whole, "nothing in the database itself can tell"
    report = await verify(database, key=KEY.public_key())
    assert [each.kind for each in report.findings] == [Kind.KEY] * len(SIZES)

    await sign_again(database, KEY)
    assert (await verify(database, key=KEY.public_key())).whole
    report = await verify(database, kept=kept)
    (head,) = report.findings
    assert (head.kind, head.timestamp) == (Kind.HEAD, kept.head.timestamp)


async def test_a_log_that_is_cut_short_is_found(database: Database) -> None:
    signed = await grow(database, *SIZES)
    await as_superuser(
        database,
        "DELETE FROM audit_log WHERE seq > 30",
        "DELETE FROM log_entries WHERE seq > 30",
        "DELETE FROM log_nodes WHERE (number + 1) << level > 30",
    )
    (finding,) = (await verify(database)).findings
    assert (finding.kind, finding.first, finding.last) == (Kind.SHRUNK, 30, LINES - 1)
    await as_superuser(database, "DELETE FROM log_heads WHERE tree_size > 30")
    assert (await verify(database)).whole, "nothing in the database itself can tell"
    (finding,) = (await verify(database, kept=signed[-1])).findings
    assert finding.kind is Kind.SHRUNK


async def test_leaves_that_are_missing_are_told(database: Database) -> None:
    await grow(database, *SIZES)
    await as_superuser(
        database,
        "DELETE FROM audit_log WHERE seq = 10",
        "DELETE FROM log_entries WHERE seq = 10",
    )
    report = await verify(database)
    (entry,) = report.of(Kind.ENTRY)
    assert (entry.first, entry.last) == (9, 9)


async def test_heads_that_were_tampered_with_are_told(database: Database) -> None:
    signed = await grow(database, *SIZES)
    await as_superuser(
        database, "UPDATE log_heads SET timestamp = timestamp + 1 WHERE tree_size = 25"
    )
    (finding,) = (await verify(database)).findings
    assert finding.kind is Kind.SIGNATURE
    broken = replace(signed[0], signature=bytes(64))
    report = await verify(database, kept=broken)
    assert [each.kind for each in report.findings] == [Kind.SIGNATURE, Kind.SIGNATURE]


async def test_heads_out_of_order_are_told(database: Database) -> None:
    await grow(database, *SIZES)
    head = TreeHead(int(NOW * 1000) - 1, 25, bytes(32))
    async with database.begin() as connection:
        row = await connection.execute(
            sa.text("SELECT root_hash FROM log_heads WHERE tree_size = 25")
        )
        head = replace(head, root=row.scalar_one())
        await connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        await connection.execute(
            sa.text(
                "UPDATE log_heads SET timestamp = :at, signature = :signature WHERE tree_size = 25"
            ),
            {"at": head.timestamp, "signature": tree_head.sign(head, KEY)},
        )
    assert [each.kind for each in (await verify(database)).findings] == [Kind.ORDER]


async def test_a_trigger_that_was_switched_off_is_told(database: Database) -> None:
    await grow(database, *SIZES)
    await as_superuser(
        database,
        "ALTER TABLE audit_log DISABLE TRIGGER audit_log_append_only",
        "DROP TRIGGER log_nodes_append_only ON log_nodes",
    )
    report = await verify(database)
    assert [(each.kind, each.table) for each in report.findings] == [
        (Kind.UNGUARDED, "audit_log"),
        (Kind.UNGUARDED, "log_nodes"),
    ]
