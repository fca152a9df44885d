"""Merkle trees give the published hashes of Certificate Transparency, and no false proof passes."""

from __future__ import annotations

import pytest

from protocol import merkle
from protocol.merkle import BadProof

# Inputs, roots and paths of the tests of the Certificate Transparency project, which all
# implementations of RFC 6962 and RFC 9162 share (transparency-dev/merkle, testonly/constants.go).
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (5, 8): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (0, 1): (),
}
CONSISTENCY = {
    (1, 1): (),
    (1, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (6, 8): (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 5): (
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}

HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES]


def path(spans: list[merkle.Span]) -> list[bytes]:
    """Return the hashes of subtrees, by their leaves."""

    def node(level: int, number: int) -> bytes:
        return merkle.complete(HASHES[number << level : (number + 1) << level])

    return [merkle.join([node(*each) for each in merkle.nodes_of(span)]) for span in spans]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_published_ones(size: int) -> None:
    tree = merkle.Frontier()
    for leaf in HASHES[:size]:
        tree.append(leaf)
    assert (tree.size, tree.root.hex()) == (size, ROOTS[size])


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_inclusion_paths_are_the_published_ones(index: int, size: int) -> None:
    found = path(merkle.inclusion_spans(index, size))
    assert tuple(each.hex() for each in found) == INCLUSION[index, size]
    merkle.check_inclusion(HASHES[index], index, size, found, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("first", "second"), CONSISTENCY)
def test_consistency_paths_are_the_published_ones(first: int, second: int) -> None:
    found = path(merkle.consistency_spans(first, second))
    if first == second:
        found = []
    assert tuple(each.hex() for each in found) == CONSISTENCY[first, second]
    roots = (bytes.fromhex(ROOTS[first]), bytes.fromhex(ROOTS[second]))
    merkle.check_consistency(first, second, found, *roots)


def test_a_leaf_is_never_taken_for_a_node() -> None:
    left, right = HASHES[:2]
    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)


@pytest.mark.parametrize(
    ("index", "size", "length"), [(8, 8, 3), (-1, 8, 3), (0, 8, 2), (0, 8, 4), (0, 0, 0)]
)
def test_an_inclusion_path_of_the_wrong_shape_is_refused(
    index: int, size: int, length: int
) -> None:
    with pytest.raises(BadProof):
        merkle.check_inclusion(HASHES[0], index, size, [HASHES[1]] * length, HASHES[0])


@pytest.mark.parametrize(
    ("first", "second", "length"),
    [(-1, 8, 0), (9, 8, 0), (0, 8, 1), (8, 8, 1), (6, 8, 2), (6, 8, 4)],
)
def test_a_consistency_path_of_the_wrong_shape_is_refused(
    first: int, second: int, length: int
) -> None:
    root = merkle.EMPTY_ROOT if first == 0 else HASHES[0]
    with pytest.raises(BadProof):
        merkle.check_consistency(first, second, [HASHES[1]] * length, root, HASHES[0])


def test_only_the_empty_tree_begins_every_tree() -> None:
    merkle.check_consistency(0, 8, [], merkle.EMPTY_ROOT, HASHES[0])
    with pytest.raises(BadProof):
        merkle.check_consistency(0, 8, [], HASHES[1], HASHES[0])
