"""The page of the top-level stub: which nodes live and what they have filed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

SILENT_AFTER = 30.0
"""Seconds without a heartbeat after which a node is shown as silent."""

_WORDS = {
    "title": ("顶级节点（模拟）", "Top-level node (stub)"),
    "nodes": ("二级节点", "Secondary nodes"),
    "filings": ("企业前缀备案（最近更新）", "Filed prefixes (latest changes)"),
    "node": ("节点", "Node"),
    "state": ("状态", "State"),
    "alive": ("在线", "alive"),
    "silent": ("无心跳", "silent"),
    "heartbeat": ("最近心跳", "Last heartbeat"),
    "version": ("版本", "Version"),
    "waiting": ("待上报", "Waiting"),
    "prefixes": ("前缀数", "Prefixes"),
    "identifiers": ("标识数（估计）", "Identifiers (estimate)"),
    "prefix": ("前缀", "Prefix"),
    "enterprise": ("企业", "Enterprise"),
    "credit_code": ("统一社会信用代码", "Credit code"),
    "hosting": ("托管方式", "Hosting"),
    "hosted": ("托管", "hosted"),
    "delegated": ("自建企业节点", "delegated"),
    "active": ("有效", "active"),
    "suspended": ("已暂停", "suspended"),
    "revoked": ("已注销", "revoked"),
    "filed": ("备案时间", "Filed"),
    "updated": ("更新时间", "Updated"),
    "none": ("暂无", "none yet"),
    "other": ("English", "中文"),
}

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
header { display: flex; justify-content: space-between; align-items: baseline; }
div { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8886; }
th { font-weight: 600; white-space: nowrap; }
td { font-variant-numeric: tabular-nums; }
"""

_NODE_HEADS = ("node", "state", "heartbeat", "version", "waiting", "prefixes", "identifiers")
_FILING_HEADS = (
    "prefix",
    "state",
    "enterprise",
    "credit_code",
    "hosting",
    "node",
    "filed",
    "updated",
)


def render(nodes: Sequence[Any], filings: Sequence[Any], *, chinese: bool) -> str:
    """Return the page as HTML that needs nothing else.

    nodes: rows of toplevel.nodes with `age`, seconds since the last heartbeat; filings: rows of
    toplevel.filings. Whatever they hold is escaped.
    """

    def word(name: str) -> str:
        return _WORDS[name][0 if chinese else 1] if name in _WORDS else name

    node_rows = [
        (
            row.node,
            word("alive" if row.age <= SILENT_AFTER else "silent"),
            _time(row.last_heartbeat_at),
            row.version,
            row.outbox_depth,
            row.prefixes,
            row.identifiers,
        )
        for row in nodes
    ]
    filing_rows = [
        (
            row.prefix,
            word(row.status),
            row.enterprise_name,
            row.credit_code,
            word(row.hosting),
            row.node,
            _time(row.filed_at),
            _time(row.updated_at),
        )
        for row in filings
    ]
    language, other = ("zh", "en") if chinese else ("en", "zh")
    return (
        f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{word('title')}</title><style>{_STYLE}</style></head><body>"
        f'<header><h1>{word("title")}</h1><a href="?lang={other}" lang="{other}">'
        f"{word('other')}</a></header><main>"
        f"<h2>{word('nodes')}</h2>{_table(map(word, _NODE_HEADS), node_rows, word('none'))}"
        f"<h2>{word('filings')}</h2>"
        f"{_table(map(word, _FILING_HEADS), filing_rows, word('none'))}"
        "</main></body></html>\n"
    )


def _table(heads: Iterable[str], rows: Sequence[Sequence[object]], none: str) -> str:
    if not rows:
        return f"<p>{none}</p>"
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<div><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _time(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
