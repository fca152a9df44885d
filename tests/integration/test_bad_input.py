"""What nobody may send is refused wherever it can be sent, with the field, in both languages.

The places are taken from the OpenAPI document: an operation that is added is swept without a line
here. The bodies that get through as they are come from tests/integration/test_isolation.py.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import openpyxl
import pytest

from registry.database import Database
from tests import xlsx_support
from tests.integration import bad_input, import_support, log_support, tenants
from tests.integration.registry_client import URL_VALUE, Node, running
from tests.integration.tenants import ITEM, Tenant
from tests.integration.test_isolation import CASES, path_of

_CHINESE = re.compile("[\u4e00-\u9fff]")


_RICH = {
    **URL_VALUE,
    "references": [{"handle": "88.709.911/R", "index": 1}],
    "access": {"audience": "partners", "partners": ["group:suppliers"]},
}
_TEMPLATE = {
    "items": [
        {
            "index": 2000,
            "type": "GRADE",
            "name": "等级",
            "data": {"kind": "enum", "values": ["A", "B"]},
        }
    ],
    "industry": {"category": "C"},
}
_LINKED = {"items": [_TEMPLATE["items"][0] | {"data": {"kind": "url", "schemes": ["https"]}}]}


_QUARTER = 900
"""Seconds after which a source may file again."""


def _template(own: Tenant) -> dict[str, Any]:
    return {"prefix": own.prefix, "name": "other"}


def _relation(own: Tenant) -> dict[str, Any]:
    return {"subject": f"{own.prefix}/SN-1", "kind": "part-of", "target": f"{own.prefix}/R-2"}


MORE: dict[str, list[Callable[[Tenant], Any]]] = {
    "issueAccountKey": [lambda own: {"scopes": ["identifiers:read"]}],
    "issueKey": [lambda own: {"scopes": ["identifiers:read"]}],
    "putIdentifier": [lambda own: {"values": [_RICH]}],
    "patchIdentifier": [lambda own: {"values": [_RICH], "remove": [1]}],
    "changeIdentifiers": [
        lambda own: {
            "operations": [{"op": "put", "identifier": f"{own.prefix}/SN-1", "values": [_RICH]}]
        }
    ],
    "createRange": [
        lambda own: {"prefix": own.prefix, "first": "X-1", "last": "X-9", "values": [_RICH]}
    ],
    "putRange": [lambda own: {"values": [_RICH]}],
    "changeRelations": [lambda own: {"remove": [_relation(own)], "put": []}],
    "createTemplate": [
        lambda own: _template(own) | _TEMPLATE,
        lambda own: _template(own) | _LINKED,
    ],
    "draftTemplateVersion": [lambda own: _TEMPLATE, lambda own: _LINKED],
    "replaceTemplate": [lambda own: _TEMPLATE, lambda own: _LINKED],
    "makeLabels": [
        lambda own: {"range": {"prefix": own.prefix, "first": "R-1", "last": "R-9"}, "sheet": {}}
    ],
}
"""Bodies with what the ones of the test of isolation leave out."""

SECRETS = {"signIn", "setPassword", "changePassword"}
"""Whoever gives a wrong secret hears that, and nothing of what is wrong with it."""


@dataclasses.dataclass
class Clock:
    """Time that passes when it is told to."""

    seconds: float = dataclasses.field(default_factory=time.time)

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def node(database: Database, clock: Clock) -> AsyncIterator[Node]:
    async with running(database, clock, public_url="http://127.0.0.1:8000") as node:
        yield node


async def _document(node: Node) -> dict[str, Any]:
    return dict(await (await node.client.get("/openapi.json")).json())


async def _ask(  # noqa: PLR0917
    node: Node, method: str, path: str, token: str | None, body: Any, language: str
) -> tuple[int, dict[str, Any]]:
    """Send a body as it is: Python's JSON writes numbers of any size, and bytes are a file."""
    kind = "text/csv" if isinstance(body, bytes) else "application/json"
    raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Accept_Language": language, "Content_Type": kind}
    status, answer, _ = await node.call(method, path, token, raw, **headers)
    return status, answer or {}


async def _faults(  # noqa: PLR0917
    node: Node, method: str, path: str, token: str | None, field: str, body: Any = None
) -> list[str]:
    """Return what is wrong with the refusal of a request that is wrong at `field`."""
    status, english = await _ask(node, method, path, token, body, "en")
    if not 400 <= status < 500:
        return [f"{status}, which is no refusal"]
    _, chinese = await _ask(node, method, path, token, body, "zh")
    faults = []
    if status not in (400, 422):
        faults.append(f"refused for another reason: {status} {english}")
    elif not f"{english.get('field')}.".startswith(f"{field}."):
        faults.append(f"names {english.get('field')}: {english['detail']}")
    if not _CHINESE.search(chinese["detail"]) or _CHINESE.search(english["detail"]):
        faults.append(f"not in both languages: {english['detail']}, {chinese['detail']}")
    return faults


async def test_no_body_takes_what_nobody_may_send(node: Node, clock: Clock) -> None:
    own = await tenants.make(node, 1)
    document = await _document(node)
    schemas = document["components"]["schemas"]
    faults, tried = [], Counter[str]()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            name = operation["operationId"]
            content = operation.get("requestBody", {}).get("content", {})
            if not path.startswith("/api/v1/") or "application/json" not in content:
                continue
            target = path_of((name, method, path.removeprefix("/api/v1")), own)
            token = own.session if name == "changePassword" else node.operator
            bodies = _bodies(name, own)
            for place in bad_input.places(content["application/json"]["schema"], schemas):
                reached = [body for body in bodies if bad_input.reached(body, place.path)]
                if not reached:
                    faults.append(f"{name} {place.field}: no body has it, add one to MORE")
                    continue
                for what, field, body in bad_input.bad(reached[-1], place):
                    if what == bad_input.BIDIRECTIONAL and name in SECRETS:
                        continue
                    tried[what] += 1
                    clock.seconds += _QUARTER if name == "fileEnterprise" else 0
                    wrong = await _faults(node, method.upper(), target, token, field, body)
                    faults += [f"{name} {field}, {what}: {each}" for each in wrong]
    print(dict(tried))
    assert not faults, "\n".join(faults)


def _bodies(name: str, own: Tenant) -> list[Any]:
    case = CASES[name]
    return [case.body(own, own) if case.body else {}, *(made(own) for made in MORE.get(name, ()))]


def _queried(document: dict[str, Any]) -> Iterator[tuple[str, str, str, list[dict[str, Any]]]]:
    """Yield name, method, path and parameters of operations of the registry API."""
    known = document["components"]["parameters"]
    for path, methods in document["paths"].items():
        if path.startswith("/api/v1/"):
            for method, operation in methods.items():
                named = [known[each["$ref"].rsplit("/", 1)[1]] for each in operation["parameters"]]
                yield operation["operationId"], method, path.removeprefix("/api/v1"), named


async def test_no_query_takes_what_nobody_may_send(node: Node) -> None:
    own = await tenants.make(node, 1)
    await log_support.sign(node.database)
    faults, tried = [], Counter[str]()
    for name, method, path, parameters in _queried(await _document(node)):
        target = path_of((name, method, path), own)
        body = _bodies(name, own)[-1] if method in ("post", "put", "patch") else None
        for parameter in parameters:
            if parameter["in"] != "query":
                continue
            key = parameter["name"]
            bads = [
                (what, bad_input.with_parameter(target, key, text))
                for what, text in bad_input.bad_query(parameter["schema"])
            ]
            twice = bad_input.with_parameter(target, key, "1") + f"&{key}=1"
            for what, bad in (*bads, ("twice", twice)):
                tried[what] += 1
                wrong = await _faults(node, method.upper(), bad, node.operator, key, body)
                faults += [f"{name} {key}, {what}: {each}" for each in wrong]
    print(dict(tried))
    assert not faults, "\n".join(faults)


async def test_no_path_takes_what_nobody_may_send(node: Node) -> None:
    own = await tenants.make(node, 1)
    faults, tried = [], Counter[str]()
    for name, method, path, parameters in _queried(await _document(node)):
        for parameter in parameters:
            if parameter["in"] != "path":
                continue
            for bad in ("a%00b", "a%E2%80%AEb", "%FF", "%C0%AF", "a%0D%0Ab"):
                place = path.replace(f"{{{parameter['name']}}}", bad)
                target = path_of((name, method, place), own)
                body = _bodies(name, own)[-1] if method in ("post", "put", "patch") else None
                tried[parameter["name"]] += 1
                status, answer = await _ask(node, method.upper(), target, node.operator, body, "en")
                if status not in (400, 404, 422):
                    faults.append(f"{name} {target}: {status} {answer}")
    print(dict(tried))
    assert not faults, "\n".join(faults)


async def test_no_two_values_have_one_index(node: Node) -> None:
    own = await tenants.make(node, 1)
    twice = [URL_VALUE, URL_VALUE]
    put = {"op": "put", "identifier": f"{own.prefix}/SN-1", "values": twice}
    place = {"prefix": own.prefix, "first": "X-1", "last": "X-9"}
    requests: tuple[tuple[str, str, str, Any], ...] = (
        ("PUT", f"/identifiers/{own.prefix}/SN-1", "values[1].index", {"values": twice}),
        ("PATCH", f"/identifiers/{own.prefix}/SN-1", "values[1].index", {"values": twice}),
        ("POST", "/identifiers:batch", "operations[0].values[1].index", {"operations": [put]}),
        ("POST", "/ranges", "values[1].index", place | {"values": twice}),
        ("PUT", f"/ranges/{own.prefix}/{own.ids['range']}", "values[1].index", {"values": twice}),
        ("POST", "/templates", "items[1]", _template(own) | {"items": [ITEM, ITEM]}),
    )
    for method, path, field, body in requests:
        assert not await _faults(node, method, path, own.key, field, body), (method, path)


async def test_no_row_takes_what_nobody_may_send(node: Node) -> None:
    own = await tenants.make(node, 1)
    header = "suffix,1:URL,ttl\n"
    rows = {
        f"{bad_input.OVERRIDE},https://a.example,60": "suffix",
        f"SN-6,https://a.example/{bad_input.OVERRIDE},60": "1:URL",
        "../../etc/pass\x07wd,https://a.example,60": "suffix",
        f"SN-3,https://a.example,{2**63}": "ttl",
        "SN-4,https://a.example,=60": "ttl",
        "template/other/1,https://a.example,60": "suffix",
    }
    file = header + "\n".join([*rows, "SN-9,https://a.example,60"]) + "\n"
    query = f"?format=csv&prefix={own.prefix}"
    ended = await import_support.imported(node, own.key, file.encode(), query)
    assert (ended["state"], ended["done"], ended["failed"]) == ("done", 1, len(rows)), ended
    _, *refused = await import_support.error_rows(node, own.key, ended["id"])
    assert [row[1] for row in refused] == list(rows.values()), refused
    assert all(row[2] for row in refused), "each row says why it is refused"
    for suffix in ("SN-3", "SN-4", "SN-6"):
        status, _, _ = await node.call("GET", f"/identifiers/{own.prefix}/{suffix}", own.key)
        assert status == 404, suffix
    whole = header + f"SN-5,https://a.example/{bad_input.NUL},60\n"
    ended = await import_support.imported(node, own.key, whole.encode(), query)
    assert ended["state"] == "failed"
    assert "NUL" in ended["reason"]


@pytest.mark.parametrize("kind", ["bomb", "entities"])
async def test_no_workbook_unpacks_without_bound(node: Node, kind: str) -> None:
    own = await tenants.make(node, 1)
    workbook = xlsx_support.parts(xlsx_support.row(1, "suffix"))
    sheet = "xl/worksheets/sheet1.xml"
    if kind == "bomb":
        workbook[sheet] = b" " * (64 << 20)
    else:
        workbook[sheet] = b'<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>' + workbook[sheet]
    query = f"?format=xlsx&prefix={own.prefix}"
    ended = await import_support.imported(node, own.key, xlsx_support.zipped(workbook), query)
    assert (ended["state"], ended["done"]) == ("failed", 0)
    assert ended["reason"], "a clerk is told why"


async def test_no_export_has_a_cell_that_a_spreadsheet_runs(node: Node) -> None:
    own = await tenants.make(node, 1)
    formulas = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "=HYPERLINK(1)")
    for number, text in enumerate(formulas):
        note = {"index": 2, "type": "NOTE", "data": {"format": "string", "value": text}}
        path = f"/identifiers/{own.prefix}/F-{number}"
        status, _, _ = await node.call("PUT", path, own.key, {"values": [note]})
        assert status == 201
    path = f"/exports/identifiers?prefix={own.prefix}&members=false&format="
    headers = {"Authorization": f"Bearer {own.key}"}
    async with node.client.get(node.url(path + "csv"), headers=headers) as answer:
        rows = list(csv.reader(io.StringIO((await answer.read()).decode("utf-8-sig"), newline="")))
    cells = [cell for line in rows for cell in line]
    assert {f"'{text}" for text in formulas} <= set(cells)
    assert not [cell for cell in cells if cell[:1] in "=+-@\t\r" and cell]
    async with node.client.get(node.url(path + "xlsx"), headers=headers) as answer:
        book = openpyxl.load_workbook(io.BytesIO(await answer.read()))
    kinds = {cell.data_type for sheet in book for line in sheet.iter_rows() for cell in line}
    assert "f" not in kinds, "no cell of the workbook is a formula"


async def test_no_attachment_has_a_name_that_leads_elsewhere(node: Node) -> None:
    own = await tenants.make(node, 1)
    names = (
        "../licence.png",
        "..\\licence.png",
        "/etc/licence.png",
        "C:licence.png",
        "a/../../licence.png",
        "licence.png/",
        ".png",
        "licence.png.html",
    )
    for name in names:
        path = bad_input.with_parameter(f"/enterprises/{own.enterprise}/attachments", "name", name)
        for language in ("en", "zh"):
            headers = {"Content_Type": "image/png", "Accept_Language": language}
            status, answer, _ = await node.call("POST", path, node.operator, b"\x89PNG", **headers)
            assert (status, answer["field"]) == (422, "name"), (name, answer)
            assert bool(_CHINESE.search(answer["detail"])) == (language == "zh"), answer
