"""Strongly connected components beside their definition."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from registry.relations.circles import components

_NODES = st.integers(0, 7).map(lambda number: ("p", str(number)))


@given(st.dictionaries(_NODES, st.lists(_NODES, max_size=4), max_size=8))
def test_two_are_in_one_component_if_each_reaches_the_other(
    graph: dict[tuple[str, str], list[tuple[str, str]]],
) -> None:
    nodes = {*graph, *(end for ends in graph.values() for end in ends)}
    reached = {}
    for node in nodes:
        seen, waiting = {node}, [node]
        while waiting:
            new = set(graph.get(waiting.pop(), ())) - seen
            seen |= new
            waiting += new
        reached[node] = seen
    found = components(graph)
    assert set(found) == nodes
    for one in nodes:
        for other in nodes:
            same = one in reached[other] and other in reached[one]
            assert (found[one] == found[other]) == same, (one, other)


def test_a_long_way_needs_no_recursion() -> None:
    names = [("p", str(number)) for number in range(50_000)]
    graph = {name: [following] for name, following in pairwise(names)}
    assert len(set(components(graph).values())) == len(names)
    graph[names[-1]] = [names[0]]
    assert len(set(components(graph).values())) == 1
