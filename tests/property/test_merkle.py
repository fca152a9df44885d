"""Trees of any size: roots and proofs are those of the definition, and false ones are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import merkle
from protocol.merkle import BadProof

MOST = 300
LEAVES = [merkle.leaf_hash(str(number).encode()) for number in range(MOST)]


def naive(leaves: list[bytes]) -> bytes:
    """Return the root as RFC 9162 section 2.1.1 defines it."""
    if len(leaves) < 2:
        return leaves[0] if leaves else merkle.EMPTY_ROOT
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return merkle.node_hash(naive(leaves[:half]), naive(leaves[half:]))


def path(spans: list[merkle.Span]) -> list[bytes]:
    return [naive(LEAVES[start:end]) for start, end in spans]


sizes = st.integers(1, MOST)


@given(sizes, st.data())
def test_every_leaf_is_proved_and_no_other_in_its_place(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    root, proof = naive(LEAVES[:size]), path(merkle.inclusion_spans(index, size))
    merkle.check_inclusion(LEAVES[index], index, size, proof, root)
    other = data.draw(st.integers(0, MOST - 1).filter(lambda each: each != index))
    with pytest.raises(BadProof):
        merkle.check_inclusion(LEAVES[other], index, size, proof, root)
    if other < size:
        with pytest.raises(BadProof):
            merkle.check_inclusion(LEAVES[index], other, size, proof, root)


@given(sizes, sizes, st.data())
def test_a_tree_is_proved_to_begin_another_and_no_other_tree(
    one: int, other: int, data: st.DataObject
) -> None:
    first, second = sorted((one, other))
    roots = naive(LEAVES[:first]), naive(LEAVES[:second])
    proof = path(merkle.consistency_spans(first, second)) if first < second else []
    merkle.check_consistency(first, second, proof, *roots)
    changed = list(LEAVES[:first])
    changed[data.draw(st.integers(0, first - 1))] = merkle.leaf_hash(b"changed")
    with pytest.raises(BadProof):
        merkle.check_consistency(first, second, proof, naive(changed), roots[1])
    if proof:
        broken = list(proof)
        broken[data.draw(st.integers(0, len(proof) - 1))] = merkle.leaf_hash(b"changed")
        with pytest.raises(BadProof):
            merkle.check_consistency(first, second, broken, *roots)


@given(st.lists(st.integers(1, 60), max_size=6))
def test_a_tree_grows_to_the_same_root_and_tells_each_node_once(steps: list[int]) -> None:
    made: dict[merkle.Node, bytes] = {}

    def keep(level: int, number: int, value: bytes) -> None:
        assert (level, number) not in made
        made[level, number] = value

    tree = merkle.Frontier()
    for step in steps:
        tree = merkle.Frontier(tree.size, tree.hashes)
        for leaf in LEAVES[tree.size : min(tree.size + step, MOST)]:
            tree.append(leaf, keep)
        assert tree.root == naive(LEAVES[: tree.size])
    assert made == {
        (level, number): naive(LEAVES[number << level : (number + 1) << level])
        for level in range(1, 10)
        for number in range(tree.size >> level)
    }
