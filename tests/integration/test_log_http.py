"""What the registry proves over HTTP, checked as somebody would who has only the public key."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from protocol import merkle, tree_head
from registry.database import Database
from tests.integration import log_support
from tests.integration.registry_client import URL_VALUE, Node


def unpack(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def check_head(head: dict[str, Any]) -> bytes:
    """Check the signature of a head; return its root."""
    key = tree_head.decode_key(head["public_key"].encode())
    assert tree_head.log_id(key) == unpack(head["log_id"])
    root = unpack(head["root_hash"])
    signed = tree_head.TreeHead(head["timestamp"], head["tree_size"], root)
    tree_head.check(signed, unpack(head["signature"]), key)
    return root


async def head_of(node: Node) -> dict[str, Any]:
    status, head, _ = await node.call("GET", "/log/head")
    assert status == 200, head
    return dict(head)


async def put(node: Node, works: tuple[str, str], suffix: str, status: int = 201) -> None:
    key, prefix = works
    answer, body, _ = await node.call(
        "PUT", f"/identifiers/{prefix}/{suffix}", key, {"values": [URL_VALUE]}
    )
    assert answer == status, body


async def test_an_enterprise_gets_its_lines_proved_in_every_spelling(
    node: Node, works: tuple[str, str], database: Database
) -> None:
    key, prefix = works
    await put(node, works, "Pump-1")
    await put(node, works, "PUMP-1", 200)
    await put(node, works, "Pump-2")
    assert (await node.call("DELETE", f"/identifiers/{prefix}/pump-1", key))[0] == 204
    await log_support.sign(database)
    await put(node, works, "pump-1")
    path = f"/identifiers/{prefix}/pUMP-1/proof"
    status, proof, _ = await node.call("GET", path, key)
    assert status == 200, proof
    lines = [json.loads(item["leaf_input"]) for item in proof["items"]]
    assert [(line["action"], line["subject"]) for line in lines] == [
        ("identifier.put", f"{prefix}/Pump-1"),
        ("identifier.put", f"{prefix}/PUMP-1"),
        ("identifier.delete", f"{prefix}/pump-1"),
    ]
    assert proof["waiting"] == 1
    root, size = check_head(proof["head"]), proof["head"]["tree_size"]
    for item in proof["items"]:
        leaf = merkle.leaf_hash(item["leaf_input"].encode())
        hashes = [unpack(each) for each in item["inclusion_path"]]
        merkle.check_inclusion(leaf, item["leaf_index"], size, hashes, root)

    status, page, _ = await node.call("GET", f"{path}?limit=2", key)
    assert page["items"] == proof["items"][:2]
    status, rest, _ = await node.call("GET", f"{path}?limit=2&cursor={page['next']}", key)
    assert (rest["items"], rest["next"]) == (proof["items"][2:], None)


async def test_letters_beyond_ascii_are_not_folded(
    node: Node, works: tuple[str, str], database: Database
) -> None:
    key, prefix = works
    for suffix in ("泵é-a", "泵É-a", "泵é-A"):
        path = f"/identifiers/{prefix}/{quote(suffix)}"
        answer, body, _ = await node.call("PUT", path, key, {"values": [URL_VALUE]})
        assert answer in (200, 201), body
    await log_support.sign(database)
    _, proof, _ = await node.call("GET", f"/identifiers/{prefix}/{quote('泵é-a')}/proof", key)
    subjects = [json.loads(item["leaf_input"])["subject"] for item in proof["items"]]
    assert subjects == [f"{prefix}/泵é-a", f"{prefix}/泵é-A"]


async def test_heads_entries_and_paths_fit_together(node: Node, database: Database) -> None:
    assert (await node.call("GET", "/log/head"))[0] == 404
    await log_support.write(database, 37)
    await log_support.sign(database)
    first = await head_of(node)
    await log_support.write(database, 100)
    await log_support.sign(database)
    second = await head_of(node)
    roots = check_head(first), check_head(second)
    sizes = first["tree_size"], second["tree_size"]
    query = f"?first={sizes[0]}&second={sizes[1]}"
    status, proof, _ = await node.call("GET", f"/log/proofs/consistency{query}", node.reviewer)
    assert status == 200, proof
    path = [unpack(each) for each in proof["consistency_path"]]
    merkle.check_consistency(*sizes, path, *roots)

    status, found, _ = await node.call("GET", "/log/entries?start=5&end=2000", node.reviewer)
    assert [each["leaf_index"] for each in found["entries"]] == list(range(5, sizes[1]))
    assert found["head"] == second
    for size, root in zip(sizes, roots, strict=True):
        for entry in found["entries"][:5]:
            query = f"?leaf_index={entry['leaf_index']}&tree_size={size}"
            status, proof, _ = await node.call(
                "GET", f"/log/proofs/inclusion{query}", node.reviewer
            )
            assert (status, proof["tree_size"]) == (200, size)
            path = [unpack(each) for each in proof["inclusion_path"]]
            leaf = merkle.leaf_hash(entry["leaf_input"].encode())
            merkle.check_inclusion(leaf, entry["leaf_index"], size, path, root)


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/log/entries?start=5&end=4", 422, "end"),
        ("/log/entries?start=-1&end=4", 422, "start"),
        ("/log/entries?start=5", 422, "end"),
        ("/log/entries?start=500&end=500", 422, "start"),
        ("/log/entries?start=x&end=4", 422, "start"),
        ("/log/entries?start=0&end=99999999999999999999999", 422, "end"),
        ("/log/proofs/inclusion", 422, "leaf_index"),
        ("/log/proofs/inclusion?leaf_index=500", 422, "leaf_index"),
        ("/log/proofs/inclusion?leaf_index=5&tree_size=5", 422, "leaf_index"),
        ("/log/proofs/inclusion?leaf_index=5&tree_size=500", 422, "tree_size"),
        ("/log/proofs/consistency?first=500", 422, "first"),
        ("/log/proofs/consistency?first=5&second=4", 422, "first"),
        ("/log/proofs/consistency?first=5&second=500", 422, "second"),
    ],
)
async def test_what_there_is_no_proof_for_is_refused_by_its_field(
    node: Node, database: Database, path: str, status: int, field: str
) -> None:
    await log_support.write(database, 20)
    await log_support.sign(database)
    answer, problem, _ = await node.call("GET", path, node.reviewer)
    assert (answer, problem["field"]) == (status, field), problem


async def test_lines_of_all_are_for_staff_alone_and_proofs_for_who_has_a_token(
    node: Node, works: tuple[str, str], database: Database
) -> None:
    key, _ = works
    await log_support.sign(database)
    for token, status in ((key, 403), (None, 401), (node.reviewer, 200)):
        assert (await node.call("GET", "/log/entries?start=0&end=5", token))[0] == status
    for token, status in ((key, 200), (None, 401)):
        for path in ("/log/proofs/inclusion?leaf_index=0", "/log/proofs/consistency?first=1"):
            assert (await node.call("GET", path, token))[0] == status


async def test_a_refusal_is_in_chinese_for_who_reads_it(node: Node) -> None:
    _, problem, _ = await node.call("GET", "/log/head", Accept_Language="zh")
    assert problem["detail"].startswith("尚未签署树头")
