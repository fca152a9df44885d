"""The page of the top-level stub: its nodes, what they have filed, and what was refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from registry.api.messages_zh import translate
from resolver.federation.toplevel.overview import Overview, Row

SILENT_AFTER = 30.0
"""Seconds without a heartbeat after which a node is shown as silent."""

_NOTHING = "-"

_WORDS = {
    "title": ("顶级节点（模拟）", "Top-level node (stub)"),
    "nodes": ("二级节点", "Secondary nodes"),
    "filings": ("企业前缀备案（最近更新）", "Filed prefixes (latest changes)"),
    "node": ("节点", "Node"),
    "state": ("状态", "State"),
    "alive": ("在线", "alive"),
    "silent": ("无心跳", "silent"),
    "heartbeat": ("最近心跳", "Last heartbeat"),
    "health": ("运行状况", "Health"),
    "ready": ("就绪", "ready"),
    "not_ready": ("未就绪", "not ready"),
    "errors": ("错误", "errors"),
    "version": ("版本", "Version"),
    "waiting": ("待上报", "Waiting"),
    "prefixes": ("前缀数（节点上报）", "Prefixes (told)"),
    "filed_prefixes": ("已备案前缀", "Prefixes (filed)"),
    "address": ("地址", "Address"),
    "certificate": ("证书", "Certificate"),
    "until": ("有效期至", "until"),
    "never": ("从未上报", "never heard"),
    "cancelled": ("已吊销", "revoked"),
    "figures": ("上报的统计（最近）", "Reported figures (latest)"),
    "start": ("开始时间（UTC）", "Begin (UTC)"),
    "per": ("周期", "Period"),
    "hour": ("小时", "hour"),
    "day": ("日", "day"),
    "found": ("解析成功", "Found"),
    "not_found": ("未找到", "Not found"),
    "referral": ("转介", "Referred"),
    "created": ("新增", "Created"),
    "changed": ("变更", "Changed"),
    "deleted": ("删除", "Deleted"),
    "refusals": ("被拒绝的上报（最近）", "Refused messages (latest)"),
    "kind": ("类型", "Kind"),
    "subject": ("对象", "Subject"),
    "reason": ("原因", "Reason"),
    "times": ("次数", "Times"),
    "last": ("最近一次", "Last"),
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

_NODE_HEADS = (
    "node",
    "state",
    "heartbeat",
    "health",
    "version",
    "waiting",
    "prefixes",
    "filed_prefixes",
    "identifiers",
    "address",
    "certificate",
)
_COUNTED = ("found", "not_found", "referral", "created", "changed", "deleted")
"""What is shown of the figures of an hour or a day."""

_FIGURE_HEADS = ("start", "per", "node", *_COUNTED, "updated")
_REFUSAL_HEADS = ("last", "node", "kind", "subject", "reason", "times")
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


_Word = Callable[[str], str]


def render(seen: Overview, *, chinese: bool) -> str:
    """Return the page as HTML that needs nothing else. Whatever was filed is escaped."""

    def word(name: str) -> str:
        return _WORDS[name][0 if chinese else 1] if name in _WORDS else name

    sections = (
        ("nodes", _NODE_HEADS, [_node(row, word) for row in seen.nodes]),
        ("filings", _FILING_HEADS, [_filing(row, word) for row in seen.filings]),
        ("figures", _FIGURE_HEADS, [_figures(row, word) for row in seen.figures]),
        ("refusals", _REFUSAL_HEADS, [_refusal(row, chinese=chinese) for row in seen.refusals]),
    )
    language, other = ("zh", "en") if chinese else ("en", "zh")
    body = "".join(
        f"<h2>{word(title)}</h2>{_table(map(word, heads), rows, word('none'))}"
        for title, heads, rows in sections
    )
    return (
        f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{word('title')}</title><style>{_STYLE}</style></head><body>"
        f'<header><h1>{word("title")}</h1><a href="?lang={other}" lang="{other}">'
        f"{word('other')}</a></header><main>{body}</main></body></html>\n"
    )


def _node(row: Row, word: _Word) -> Sequence[object]:
    if row.age is None:
        state = word("never")
    else:
        state = word("alive" if row.age <= SILENT_AFTER else "silent")
    return (
        row.node,
        state,
        _time(row.last_heartbeat_at),
        _health(row.health, word),
        _known(row.version),
        _known(row.outbox_depth),
        _known(row.prefixes),
        row.filed,
        _known(row.identifiers),
        _address(row.site),
        _certificate(row, word),
    )


def _health(told: Mapping[str, Any] | None, word: _Word) -> object:
    if told is None:
        return _NOTHING
    state = word("ready" if told["ready"] else "not_ready")
    return f"{state}, {told['lag_seconds']:.1f} s, {word('errors')}: {told['errors']}"


def _filing(row: Row, word: _Word) -> Sequence[object]:
    return (
        row.prefix,
        word(row.status),
        row.enterprise_name,
        row.credit_code,
        word(row.hosting),
        row.node,
        _time(row.filed_at),
        _time(row.updated_at),
    )


def _figures(row: Row, word: _Word) -> Sequence[object]:
    counts = [row.total.get(name, 0) for name in _COUNTED]
    return (row.start, word(row.per), row.node, *counts, _time(row.updated_at))


def _refusal(row: Row, *, chinese: bool) -> Sequence[object]:
    reason = translate(row.reason) if chinese else row.reason
    return (
        _time(row.last_at),
        row.node,
        row.kind,
        row.subject,
        f"HTTP {row.status} {row.field}: {reason}" if row.field else f"HTTP {row.status} {reason}",
        row.times,
    )


def _certificate(row: Row, word: _Word) -> str:
    if row.certified_until is not None:
        return f"{word('until')} {_time(row.certified_until)}"
    return word("cancelled") if row.revoked else _NOTHING


def _address(site: Any) -> str:
    """Return where the servers of a site are."""
    servers = [] if site is None else site["servers"]
    return ", ".join(server["address"] for server in servers) or _NOTHING


def _known(value: object) -> object:
    return _NOTHING if value is None else value


def _table(heads: Iterable[str], rows: Sequence[Sequence[object]], none: str) -> str:
    if not rows:
        return f"<p>{none}</p>"
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<div><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _time(moment: Any) -> str:
    if moment is None:
        return _NOTHING
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
