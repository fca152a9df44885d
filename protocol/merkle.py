"""Merkle trees of a log, and the proofs that they give: RFC 9162 section 2.1, with SHA-256.

A *node* is a complete subtree, named by its level (0: leaves) and its number at that level, from 0
on: node (l, n) stands above the leaves n * 2^l to (n + 1) * 2^l - 1. The hash of a node never
changes once its leaves are there. Every other hash of a tree is put together from nodes, so that a
proof needs a logarithmic number of them, wherever they are kept.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence

HASH_BYTES = 32

EMPTY_ROOT = hashlib.sha256().digest()
"""Root of the tree without leaves."""

Node = tuple[int, int]
"""Level and number of a complete subtree."""

Span = tuple[int, int]
"""The leaves from the first number to before the second: a subtree, complete or the right edge."""


class BadProof(Exception):
    """A proof does not show what it should; the message says why."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf (RFC 9162 section 2.1.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two subtrees side by side (RFC 9162 section 2.1.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def nodes_of(span: Span) -> list[Node]:
    """Return the complete subtrees that a subtree consists of, from left to right."""
    start, end = span
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append((level, start >> level))
        start += 1 << level
    return nodes


def join(hashes: Sequence[bytes]) -> bytes:
    """Return the hash of a subtree from the hashes of `nodes_of` it."""
    if not hashes:
        return EMPTY_ROOT
    result = hashes[-1]
    for left in reversed(hashes[:-1]):
        result = node_hash(left, result)
    return result


def complete(hashes: Sequence[bytes]) -> bytes:
    """Return the node above 2^n hashes of one level."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


def inclusion_spans(index: int, size: int) -> list[Span]:
    """Return the subtrees of the inclusion path of leaf `index` in the tree of `size` leaves.

    In the order of RFC 9162 section 2.1.3.1. Raises ValueError for a leaf that is not in it.
    """
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    spans: list[Span] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _half(end - start)
        if index < middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start = middle
    return spans[::-1]


def consistency_spans(first: int, second: int) -> list[Span]:
    """Return the subtrees of the consistency path from the tree of `first` leaves to `second`.

    In the order of RFC 9162 section 2.1.4.1. Raises ValueError unless 0 < first <= second.
    """
    if not 0 < first <= second:
        raise ValueError(f"there is no consistency path from {first} to {second} leaves")
    spans: list[Span] = []
    start, end = 0, second
    while end > first:
        middle = start + _half(end - start)
        if first <= middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start = middle
    if start > 0:
        spans.append((start, end))
    return spans[::-1]


def _half(size: int) -> int:
    """Return the greatest power of two below `size`, which is more than 1."""
    return 1 << ((size - 1).bit_length() - 1)


def check_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """See that the leaf with this hash is number `index` in the tree of `size` leaves with `root`.

    RFC 9162 section 2.1.3.2. Raises BadProof.
    """
    if not 0 <= index < size:
        raise BadProof(f"there is no leaf {index} in a tree of {size}")
    spans = inclusion_spans(index, size)
    if len(path) != len(spans):
        raise BadProof(f"the inclusion path has {len(path)} hashes, not {len(spans)}")
    result = leaf
    for (start, _), sibling in zip(spans, path, strict=True):
        right = start > index
        result = node_hash(result, sibling) if right else node_hash(sibling, result)
    if not hmac.compare_digest(result, root):
        raise BadProof("the inclusion path does not lead to the root of the tree")


def check_consistency(
    first: int, second: int, path: Sequence[bytes], first_root: bytes, second_root: bytes
) -> None:
    """See that the tree of `first` leaves is the beginning of the tree of `second` leaves.

    RFC 9162 section 2.1.4.2. The empty tree is the beginning of each. Raises BadProof.
    """
    if not 0 <= first <= second:
        raise BadProof(f"a tree of {first} leaves is not the beginning of one of {second}")
    if first == 0:
        _same(first_root, EMPTY_ROOT, "that is not the root of the empty tree")
    if first in (0, second):
        if path:
            raise BadProof("the consistency path has hashes where none is needed")
        if first:
            _same(first_root, second_root, "the trees have as many leaves and different roots")
        return
    spans = consistency_spans(first, second)
    if len(path) != len(spans):
        raise BadProof(f"the consistency path has {len(path)} hashes, not {len(spans)}")
    known = dict(zip(spans, path, strict=True))
    if first.bit_count() == 1:
        known[0, first] = first_root  # a node of the latter, which the path therefore leaves out
    _same(_root(0, first, known), first_root, "the path does not lead to the root of the former")
    _same(_root(0, second, known), second_root, "the path does not lead to the root of the latter")


def _root(start: int, end: int, known: dict[Span, bytes]) -> bytes:
    if (start, end) in known:
        return known[start, end]
    middle = start + _half(end - start)
    return node_hash(_root(start, middle, known), _root(middle, end, known))


def _same(found: bytes, wanted: bytes, otherwise: str) -> None:
    if not hmac.compare_digest(found, wanted):
        raise BadProof(otherwise)


class Frontier:
    """The right edge of a growing tree: all that is needed to grow it and to know its root.

    size: leaves so far. hashes: of `nodes_of((0, size))`.
    """

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)
        if len(self.hashes) != size.bit_count():
            raise ValueError(f"the edge of a tree of {size} has {size.bit_count()} nodes")

    def append(self, leaf: bytes, made: Callable[[int, int, bytes], None] | None = None) -> None:
        """Add the leaf with this hash. made: told level, number and hash of each new node above."""
        number, level = self.size, 0
        while number & 1:
            leaf = node_hash(self.hashes.pop(), leaf)
            number >>= 1
            level += 1
            if made is not None:
                made(level, number, leaf)
        self.hashes.append(leaf)
        self.size += 1

    @property
    def root(self) -> bytes:
        """The root of the tree (RFC 9162 section 2.1.1)."""
        return join(self.hashes)
