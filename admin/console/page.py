"""The console: one page of HTML, made here, that fetches nothing and asks again by itself."""

from __future__ import annotations

import base64
import datetime
import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources

from admin import __version__
from admin.fleet import Child, Slot
from admin.settings import Settings, public_url
from admin.status import Status
from admin.watch import Import, Overview, Waiting
from registry.labels.links import leads_to_loopback
from registry.metrics import slot as metric_slot

REFRESH_SECONDS = 5

_STYLE = (resources.files("admin.console") / "style.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none';"
    " form-action 'self'; base-uri 'none'"
)
"""Content-Security-Policy of the page: its one style sheet, and nothing else."""

Words = Mapping[str, str]


class _Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def render(status: Status, words: Words, name: str) -> str:
    """Return the page for who has signed in as `name`."""
    overview = status.watch.overview
    sections = (
        _section(words["node"], _pairs(_node(status, words))),
        _section(words["database"], _pairs(_database(status, words))),
        _section(words["traffic"], _pairs(_traffic(status, words))),
        _section(words["registry"], _pairs(_registry(overview, words))),
        _section(words["processes"], _processes(status, words), wide=True),
        _section(words["waiting"], _waiting(overview, words), wide=True),
        _section(words["imports"], _imports(overview, words), wide=True),
    )
    leave = (
        f'<form method="post" action="/sign-out?lang={words["lang"]}"><span>{escape(name)}</span>'
        f"<button>{escape(words['sign_out'])}</button></form>"
    )
    refresh = f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">'
    return _whole(status, words, "".join(sections), head=refresh, aside=leave)


def sign_in(status: Status, words: Words, refused: str = "") -> str:
    """Return the page for everybody else. refused: why it was not let in."""
    alert = f'<p class="bad" role="alert">{escape(refused)}</p>' if refused else ""
    fields = "".join(
        f'<label>{escape(words[label])}<input name="{name}" type="{kind}" maxlength="{length}"'
        f' autocomplete="{hint}"></label>'
        for name, label, kind, length, hint in (
            ("name", "account_name", "text", 64, "username"),
            ("password", "password", "password", 1024, "current-password"),
            ("token", "or_token", "password", 512, "off"),
        )
    )
    form = (
        f'<form method="post" action="/sign-in?lang={words["lang"]}">{alert}{fields}'
        f"<button>{escape(words['sign_in'])}</button></form>"
    )
    return _whole(status, words, _section(words["sign_in"], form))


def _whole(status: Status, words: Words, body: str, *, head: str = "", aside: str = "") -> str:
    reasons = status.reasons()
    state = _mark(words["not_ready"] if reasons else words["ready"], good=not reasons)
    other = "en" if words["lang"] == "zh" else "zh"
    language = "zh-CN" if words["lang"] == "zh" else "en"
    return (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{head}'
        f"<title>{escape(words['title'])} {escape(status.settings.prefix)}</title>"
        f"<style>{_STYLE}</style></head><body><header><h1>{escape(words['title'])}</h1>"
        f'<strong>{state}</strong><span class="bad">{escape("; ".join(reasons))}</span>{aside}'
        f'<a href="/?lang={other}" hreflang="{other}">{words["other_language"]}</a></header>'
        f"<main>{body}</main></body></html>\n"
    )


def _node(status: Status, words: Words) -> Iterable[tuple[str, object]]:
    settings = status.settings
    running = datetime.timedelta(seconds=int(time.monotonic() - status.started))
    yield words["version"], __version__
    yield words["prefix"], settings.prefix
    yield words["public"], f"{settings.bind}:{settings.http_port}"
    yield words["labels"], _labels(settings, words)
    yield words["uptime"], running
    yield words["restarts"], sum(status.restarts.values())


def _labels(settings: Settings, words: Words) -> _Html:
    address = public_url(settings)
    if address is None:
        return _mark(words["labels_unmade"], good=False)
    place = address.partition("://")[2]
    if leads_to_loopback(address):
        return _mark(f"{place} ({words['labels_loopback']})", good=False)
    return _mark(place, good=True)


def _database(status: Status, words: Words) -> Iterable[tuple[str, object]]:
    error = status.watch.error
    word = words["reachable"] if error is None else f"{words['unreachable']}: {error}"
    overview = status.watch.overview
    lag = max(status.totals("idnode_feed_lag_seconds").values())
    yield words["state"], _mark(word, good=error is None)
    yield words["server"], words["unknown"] if overview is None else overview.server
    yield words["lag"], f"{lag:.1f} s"


def _traffic(status: Status, words: Words) -> Iterable[tuple[str, object]]:
    resolutions = status.totals("idnode_resolutions")
    cache = status.totals("idnode_cache_requests")
    yield words["resolutions"], _number(sum(resolutions.values()))
    found = sum(count for labels, count in resolutions.items() if "found" in labels)
    yield words["found"], _number(found)
    yield words["hits"], _number(sum(cache.values()) - cache[("miss",)])
    yield words["stale"], _number(cache[("stale",)])
    yield words["api"], _number(sum(status.totals("idnode_api_requests").values()))


def _registry(overview: Overview | None, words: Words) -> Iterable[tuple[str, object]]:
    if overview is None:
        yield words["state"], words["unknown"]
        return
    yield words["enterprises"], _number(overview.enterprises)
    yield words["identifiers"], _number(overview.identifiers)
    for name in ("pending", "active", "suspended", "rejected", "revoked"):
        yield f"{words['prefixes']}: {words[name]}", _number(overview.prefixes.get(name, 0))
    waiting = _number(overview.outbox)
    failing = overview.outbox_error is not None
    yield (
        words["outbox"],
        _mark(f"{waiting} ({overview.outbox_error})", good=False) if failing else waiting,
    )


def _processes(status: Status, words: Words) -> str:
    slots: Sequence[Slot] = () if status.fleet is None else status.fleet.slots
    head = [words[name] for name in ("process", "pid", "state", "entries", "bytes")]
    return _table(head, [_process(status, slot.name, slot.child, words) for slot in slots], words)


def _process(status: Status, name: str, child: Child | None, words: Words) -> list[object]:
    if child is None:
        return [name, "", _mark(words["starting"], good=False), "", ""]
    ready = child.ready.is_set()
    state = _mark(words["ready"] if ready else words["starting"], good=ready)
    if name == "jobs":
        return [name, child.process.pid, state, "", ""]
    cells = status.rows[child.row].cells
    entries = cells[metric_slot("idnode_cache_entries")]
    size = cells[metric_slot("idnode_cache_bytes")]
    return [name, child.process.pid, state, _number(entries), f"{size / 2**20:.1f} MiB"]


def _imports(overview: Overview | None, words: Words) -> str:
    imports: Sequence[Import] = () if overview is None else overview.imports
    head = [words[name] for name in ("import", "created", "state", "done", "failed", "rate")]
    rows = [
        [
            entry.id,
            _moment(entry.created_at),
            words[f"state_{entry.state}"],
            _number(entry.done),
            _mark(_number(entry.failed), good=False) if entry.failed else 0,
            _number((entry.done + entry.failed) / entry.seconds if entry.seconds else 0),
        ]
        for entry in imports
    ]
    return _table(head, rows, words)


def _waiting(overview: Overview | None, words: Words) -> str:
    messages: Sequence[Waiting] = () if overview is None else overview.waiting
    head = [words[name] for name in ("subject", "kind", "created", "attempts", "next_try", "why")]
    rows = [
        [
            entry.subject,
            entry.kind,
            _moment(entry.created_at),
            entry.attempts,
            _moment(entry.next_attempt_at),
            _mark(entry.last_error, good=False) if entry.last_error else "",
        ]
        for entry in messages
    ]
    return _table(head, rows, words)


def _moment(text: str) -> str:
    return text[:19].replace("T", " ")


def _number(value: float) -> str:
    return f"{int(value):,}"


def _mark(text: str, *, good: bool) -> _Html:
    return _Html(f'<span class="{"good" if good else "bad"}">{escape(text)}</span>')


def _text(value: object) -> str:
    return value if isinstance(value, _Html) else escape(str(value))


def _section(title: str, body: str, *, wide: bool = False) -> str:
    attribute = ' class="wide"' if wide else ""
    return f"<section{attribute}><h2>{escape(title)}</h2>{body}</section>"


def _pairs(pairs: Iterable[tuple[str, object]]) -> str:
    rows = (f'<tr><th scope="row">{escape(k)}</th><td>{_text(v)}</td></tr>' for k, v in pairs)
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def _table(head: Iterable[str], rows: Sequence[Iterable[object]], words: Words) -> str:
    if not rows:
        return escape(words["none"])
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    lines = "".join(
        f"<tr>{''.join(f'<td>{_text(value)}</td>' for value in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>"
