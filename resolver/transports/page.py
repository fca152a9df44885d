"""The page that a person sees who scans a code: what the identifier says, or why not."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import urlsplit

from aiohttp import web

from protocol import json_api
from protocol.errors import IdnodeError
from protocol.identifier import Identifier
from protocol.values import HandleValue
from registry.relations.links import Link

MAX_LINKS = 100
"""Relations on a page."""

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:48rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}"
    "td,th{border-bottom:1px solid #ddd;padding:.4rem;text-align:left;overflow-wrap:anywhere}"
    "h1{font-size:1.3rem}h2{font-size:1rem}h1,li{overflow-wrap:anywhere}.note{color:#8a4b00}"
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_WORDS = {
    "index": ("Index", "索引"),
    "type": ("Type", "类型"),
    "value": ("Value", "数据"),
    "none": ("This identifier has no public values.", "该标识没有公开的数据。"),
    "stale": (
        "The registry cannot be reached; this is what was known last.",
        "暂时无法连接注册库，以下为最近一次已知的数据。",
    ),
    "contains": ("Contains", "包含"),
    "part-of": ("Part of", "属于"),
    "replaced-by": ("Replaced by", "被替代为"),
    "derived-from": ("Derived from", "来源于"),
    "more": ("There are more.", "仅显示一部分。"),
    "unread": ("Relations cannot be shown at this moment.", "暂时无法显示标识关系。"),
}


def is_link(value: HandleValue) -> bool:
    """Whether a value is a web address that a browser may be sent to."""
    if value.type.upper() != "URL":
        return False
    try:
        text = value.data.decode("ascii")
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and text.isprintable()


@dataclass(frozen=True)
class Shown:
    """What the page of an identifier shows; relations None: they cannot be read now."""

    identifier: str
    values: Sequence[HandleValue]
    relations: Sequence[Link] | None


def values(shown: Shown, *, chinese: bool, stale: bool) -> web.Response:
    """Return the page of a resolved identifier."""
    word = {name: texts[chinese] for name, texts in _WORDS.items()}
    parts = [f"<h1>{html.escape(shown.identifier)}</h1>"]
    if stale:
        parts.append(f'<p class="note">{word["stale"]}</p>')
    if shown.values:
        names = "".join(f"<th>{word[name]}</th>" for name in ("index", "type", "value"))
        parts.append(f"<table><tr>{names}</tr>{''.join(map(_row, shown.values))}</table>")
    else:
        parts.append(f"<p>{word['none']}</p>")
    parts.append(_relations(shown.relations, word))
    return _page(shown.identifier, "".join(parts), 200, chinese=chinese)


def _relations(relations: Sequence[Link] | None, word: Mapping[str, str]) -> str:
    if relations is None:
        return f'<p class="note">{word["unread"]}</p>'
    parts = []
    for kind, links in groupby(relations[:MAX_LINKS], lambda link: link.kind):
        items = "".join(f"<li>{_link(link.target)}</li>" for link in links)
        parts.append(f"<h2>{word[kind]}</h2><ul>{items}</ul>")
    if len(relations) > MAX_LINKS:
        parts.append(f"<p>{word['more']}</p>")
    return "".join(parts)


def _link(identifier: str) -> str:
    path = html.escape(Identifier.parse(identifier).to_url())
    return f'<a href="/resolve/{path}"><bdi>{html.escape(identifier)}</bdi></a>'


def _row(value: HandleValue) -> str:
    data = json_api.encode_value(value)["data"]["value"]
    text = f"<bdi>{html.escape(data if isinstance(data, str) else str(data))}</bdi>"
    if is_link(value):
        text = f'<a href="{html.escape(data)}" rel="noreferrer">{text}</a>'
    return f"<tr><td>{value.index}</td><td>{html.escape(value.type)}</td><td>{text}</td></tr>"


def failure(error: IdnodeError, *, chinese: bool) -> web.Response:
    """Return the page that says why there is no answer."""
    title = error.title_zh if chinese else error.title
    content = f"<h1>{html.escape(title)}</h1><p>{html.escape(error.detail)}</p>"
    response = _page(title, content, error.http_status, chinese=chinese)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _page(title: str, content: str, status: int, *, chinese: bool) -> web.Response:
    language = "zh-CN" if chinese else "en"
    text = (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style><main>{content}</main></html>"
    )
    headers = {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Content-Language": language,
    }
    return web.Response(text=text, content_type="text/html", status=status, headers=headers)
