"""Pages that are bounded in what they hold: a few large rows are as much as many small ones."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

MAX_OCTETS = 8 << 20
"""Octets of JSON in the values of one page, before the last row that is on it."""

_PLAIN = 2000  # octets that PostgreSQL keeps as they are, in the row


def octets_of(values: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """Return how many octets the text of a JSON column has, about; exactly for what is large.

    Only values that are compressed or stand beside their row are read for it.
    """
    stored = sa.func.pg_column_size(values)
    plain = sa.and_(sa.func.pg_column_compression(values).is_(None), stored < _PLAIN)
    return sa.case((plain, stored), else_=sa.func.octet_length(sa.cast(values, sa.Text)))


def cut(
    page: sa.Subquery, *, descending: bool, by: str, most: sa.ColumnElement[int]
) -> sa.Select[Any]:
    """Select the rows of a page up to that with which they have `most` octets or more.

    page: has a column `octets`. by: the column that it is in the order of. Each row tells in
    `in_page` how many there were before the cut.
    """
    order = page.c[by].desc() if descending else page.c[by]
    before = sa.func.sum(page.c.octets).over(order_by=order) - page.c.octets
    counted = sa.select(
        page, before.label("before"), sa.func.count().over().label("in_page")
    ).subquery()
    order = counted.c[by].desc() if descending else counted.c[by]
    return sa.select(counted).where(counted.c.before < most).order_by(order)
