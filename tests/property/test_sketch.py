"""What a sketch says of a stream holds for every stream."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from registry.statistics.sketch import Sketch

STREAMS = st.lists(st.lists(st.integers(0, 30), max_size=60), max_size=12)


@given(st.integers(1, 12), STREAMS)
def test_estimates_bound_what_was_counted(size: int, batches: list[list[int]]) -> None:
    sketch: Sketch[int] = Sketch(size)
    exact: Counter[int] = Counter()
    for batch in batches:
        exact.update(batch)
        sketch.add(Counter(batch))
    estimates = sketch.estimates()
    assert len(estimates) <= size
    assert sketch.total == exact.total()
    assert sum(each.hits for each in estimates.values()) <= sketch.total
    assert sketch.floor * size <= sketch.total
    for item, times in exact.items():
        if item in estimates:
            estimate = estimates[item]
            assert estimate.hits - estimate.error <= times <= estimate.hits
        else:
            assert times <= sketch.floor


@given(st.integers(1, 12), STREAMS)
def test_what_occurs_more_often_than_the_bound_is_kept(size: int, batches: list[list[int]]) -> None:
    sketch: Sketch[int] = Sketch(size)
    exact: Counter[int] = Counter()
    for batch in batches:
        exact.update(batch)
        sketch.add(Counter(batch))
    frequent = {item for item, times in exact.items() if times * size > exact.total()}
    assert frequent <= sketch.estimates().keys()
