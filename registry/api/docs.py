"""/docs: the OpenAPI document as a page for people, with nothing loaded from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
"""Content-Security-Policy of the page."""

_STYLE = """
:root{color-scheme:light dark;--line:#8886;--soft:#8881}
body{font:16px/1.55 system-ui,"PingFang SC","Microsoft YaHei",sans-serif;max-width:60rem;
margin:2rem auto;padding:0 1rem}
code,pre{font:14px/1.45 ui-monospace,monospace}
pre{background:var(--soft);padding:.7rem;overflow:auto}
h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}
details{border:1px solid var(--line);border-radius:6px;margin:.5rem 0;padding:.4rem .8rem}
summary{cursor:pointer}summary b{display:inline-block;min-width:4.5rem}
table{border-collapse:collapse;width:100%}
td,th{border-bottom:1px solid var(--line);padding:.25rem .5rem;text-align:left;vertical-align:top}
nav a{margin-right:1rem}
"""


def page(document: dict[str, Any]) -> str:
    """Return the page for an OpenAPI document."""
    return "\n".join(_page(document))


def _page(document: dict[str, Any]) -> Iterator[str]:
    info = document["info"]
    yield (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style>"
    )
    yield f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
    yield f"<p>{escape(info['description'])} <a href=/openapi.json>openapi.json</a></p><nav>"
    for tag in document["tags"]:
        yield f"<a href='#{escape(tag['name'])}'>{_both(tag, 'description')}</a>"
    yield "<a href='#schemas'>Bodies 数据结构</a></nav>"
    for tag in document["tags"]:
        yield f"<h2 id='{escape(tag['name'])}'>{_both(tag, 'description')}</h2>"
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    yield from _operation(document, method, path, operation)
    yield "<h2 id='schemas'>Bodies 数据结构</h2>"
    for name, schema in document["components"]["schemas"].items():
        yield from _schema(name, schema)
    yield "</html>"


def _both(thing: dict[str, Any], member: str) -> str:
    return f"{escape(thing[member])} {escape(thing[f'x-{member}-zh'])}"


def _operation(
    document: dict[str, Any], method: str, path: str, operation: dict[str, Any]
) -> Iterator[str]:
    yield (
        f"<details id='{escape(operation['operationId'])}'><summary><b>{method.upper()}</b>"
        f"<code>{escape(path)}</code><br>{_both(operation, 'summary')}</summary>"
        f"<p>{escape(operation['description'])}</p>"
    )
    if operation["parameters"]:
        yield "<h4>Parameters 参数</h4><table>"
        for reference in operation["parameters"]:
            parameter = document["components"]["parameters"][reference["$ref"].rpartition("/")[2]]
            yield _row(parameter["name"], parameter["in"], parameter["description"])
        yield "</table>"
    if "requestBody" in operation:
        yield f"<h4>Request 请求</h4><p>{_content(operation['requestBody'])}</p>"
    yield "<h4>Answers 响应</h4><table>"
    for status, answer in operation["responses"].items():
        yield f"<tr><td>{status}<td>{escape(answer['description'])}<td>{_content(answer)}</tr>"
    yield "</table></details>"


def _row(*cells: str) -> str:
    return f"<tr>{''.join(f'<td>{escape(cell)}' for cell in cells)}</tr>"


def _content(holder: dict[str, Any]) -> str:
    return "<br>".join(
        f"<code>{escape(media)}</code> {_kind(content['schema'])}"
        for media, content in holder.get("content", {}).items()
    )


def _kind(schema: dict[str, Any]) -> str:
    """Return in few words what a schema allows."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href='#schema-{name}'>{name}</a>"
    if "anyOf" in schema:
        return " | ".join(_kind(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{escape(json.dumps(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return escape(str(schema.get("format", schema.get("type", "any"))))


def _schema(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"<h3 id='schema-{escape(name)}'>{escape(name)}</h3>"
    yield f"<p>{escape(schema.get('description', ''))}</p><table>"
    for member, rule in schema["properties"].items():
        star = "*" if member in schema.get("required", ()) else ""
        yield (
            f"<tr><td><code>{escape(member)}</code>{star}<td>{_kind(rule)}"
            f"<td>{escape(rule.get('description', ''))}{_limits(rule)}</tr>"
        )
    yield "</table>"


def _limits(rule: dict[str, Any]) -> str:
    names = ("minLength", "maxLength", "minimum", "maximum", "maxItems", "default", "examples")
    known = [
        f"{name} {json.dumps(rule[name], ensure_ascii=False)}" for name in names if name in rule
    ]
    return f" <small>{escape('; '.join(known))}</small>" if known else ""
