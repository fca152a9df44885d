"""The first day of an enterprise at a node, from its filing to a label on its goods.

Nothing but public HTTP and the command that checks proofs; a real node, a real workbook, decoders
that had no part in making the labels.
"""

from __future__ import annotations

import io
import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import openpyxl
import pypdfium2
import zxingcpp
from PIL import Image

from tests.e2e.node import TOKEN, Answer, Node, command, eventually, serve

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PASSWORD = "four herons over the quiet lock"
FILING = {
    "name": "示例水泵厂",
    "credit_code": "91350211M000100Y46",
    "industry": "C3441",
    "region": "350211",
    "contact": {"name": "标识管理部", "phone": "+86 592 5550100", "email": "id@pumps.example"},
    "administrator": {"name": "pumps.admin", "password": PASSWORD},
}
TEMPLATE = {
    "name": "pump",
    "description": "离心泵",
    "industry": {"category": "C", "division": "34", "group": "344", "class": "3441"},
    "items": [
        {
            "index": 2000,
            "type": "NAME",
            "name": "名称",
            "required": True,
            "data": {"kind": "string", "max_length": 40},
        },
        {
            "index": 2001,
            "type": "POWER",
            "name": "功率",
            "data": {"kind": "decimal", "fraction_digits": 2, "minimum": "0"},
        },
        {"index": 2002, "type": "MADE", "name": "生产日期", "data": {"kind": "date"}},
        {
            "index": 2003,
            "type": "COST",
            "name": "成本",
            "audience": "private",
            "data": {"kind": "decimal", "fraction_digits": 2},
        },
    ],
}
MAPPING = {"suffix": "编号", "columns": {"品名": "名称", "kW": "POWER", "备注": None}}
HEADER = ("编号", "品名", "kW", "生产日期", "成本", "备注")
ROWS = (
    ("PUMP-0001", "离心泵 IS80", 7.5, "2026-01-31", "1280.00", "样机"),
    ("MOTOR-0001", "电动机 Y132", 7.5, "2026-01-12", "640.00", None),
    ("SEAL-0001", "机械密封 109", None, "2026-01-20", "35.50", "备件"),
)


@dataclass(frozen=True)
class Caller:
    """Somebody at the public port: with a bearer token, or nobody."""

    node: Node
    token: str | None = None

    def ask(self, method: str, path: str, body: object = None, **how: Any) -> Answer:
        return self.node.call(method, f"/api/v1{path}", body, token=self.token, **how)

    def must(self, method: str, path: str, body: object = None, **how: Any) -> Any:
        answer = self.ask(method, path, body, **how)
        assert answer.status < 300, (method, path, answer.body.decode())
        return answer.json if answer.body else None

    def as_(self, token: str) -> Caller:
        return Caller(self.node, token)


def test_from_filing_to_a_label_that_a_camera_reads(directory: Path, database_url: str) -> None:
    with serve(directory, database_url=database_url) as node:
        reviewer = _reviewer(node)
        enterprise, key = _come_in(Caller(node), reviewer)
        prefix = _get_prefix(key, reviewer, enterprise)
        _publish_template(key, prefix)
        _import(key, prefix)
        _relate(key, prefix)
        _resolve(node, prefix)
        _print_labels(node, key, prefix)
        _correct(key, prefix)
        proof = _fetch_proof(key, f"{prefix}/PUMP-0001")
        head = Caller(node).must("GET", "/log/head")
    _verify_offline(directory, proof, head["public_key"])


def _reviewer(node: Node) -> Caller:
    """Return somebody of the node with a key, made by its first operator."""
    operator = Caller(node, TOKEN)
    account = operator.must("POST", "/accounts", {"name": "desk", "role": "reviewer"})
    return operator.as_(operator.must("POST", f"/accounts/{account['id']}/keys", {})["key"])


def _come_in(nobody: Caller, reviewer: Caller) -> tuple[str, Caller]:
    """File, be reviewed, sign in, make a key; return the enterprise and its program."""
    filed = nobody.must("POST", "/filings", FILING)
    assert filed["status"] == "filed"
    at = f"/enterprises/{filed['id']}"
    credentials = {"name": FILING["administrator"]["name"], "password": PASSWORD}
    person = nobody.as_(nobody.must("POST", "/sessions", credentials)["token"])
    wish = {"enterprise_id": filed["id"], "hosting": "hosted"}
    scan = _licence()
    path = f"{at}/attachments?name={quote('营业执照.png')}"
    attached = person.must("POST", path, scan, content_type="image/png")["id"]
    early = person.ask("POST", "/prefixes", wish)
    assert early.status in (403, 409), "who is not approved gets no prefix"

    assert reviewer.must("GET", "/enterprises?status=filed")["items"][0]["id"] == filed["id"]
    seen = reviewer.ask("GET", f"{at}/attachments/{attached}")
    assert seen.body == scan, "the reviewer sees the licence as it was sent"
    assert seen.headers["Content-Disposition"].startswith("attachment"), "and as a file alone"
    assert reviewer.must("POST", f"{at}/review")["status"] == "under_review"
    assert reviewer.must("POST", f"{at}/approve", {"reason": "licence seen"})["status"] == (
        "approved"
    )
    steps = person.must("GET", f"{at}/steps")["items"]
    assert {step["step"] for step in steps} == {"file", "review", "approve"}
    assert all(step["actor"] and step["at"] for step in steps), "who and when"

    key = person.must("POST", f"{at}/keys", {"label": "erp"})["key"]
    return filed["id"], nobody.as_(key)


def _licence() -> bytes:
    """Return the scan of a licence."""
    file = io.BytesIO()
    Image.new("RGB", (420, 297), "white").save(file, "PNG")
    return file.getvalue()


def _get_prefix(key: Caller, reviewer: Caller, enterprise: str) -> str:
    wish = {"enterprise_id": enterprise, "hosting": "hosted"}
    prefix: str = key.must("POST", "/prefixes", wish)["prefix"]
    assert key.ask("POST", f"/prefixes/{prefix}/approve").status == 403, "nobody approves its own"
    assert reviewer.must("POST", f"/prefixes/{prefix}/approve")["status"] == "active"
    return prefix


def _publish_template(key: Caller, prefix: str) -> None:
    made = key.must("POST", "/templates", {"prefix": prefix, **TEMPLATE})
    assert made["reference"] == "pump/1"
    assert key.must("POST", f"/templates/{prefix}/pump/1/publish")["state"] == "published"


def _workbook(rows: tuple[tuple[Any, ...], ...]) -> bytes:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (HEADER, *rows):
        book.active.append(list(row))
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _send(key: Caller, prefix: str, rows: tuple[tuple[Any, ...], ...], **more: str) -> Any:
    """Send a workbook as an import; return what became of it."""
    query = f"prefix={prefix}&template=pump&mapping={quote(json.dumps(MAPPING))}"
    query += "".join(f"&{name}={text}" for name, text in more.items())
    sent = key.must("POST", f"/imports?{query}", _workbook(rows), content_type=XLSX)

    def ended() -> Any:
        state = key.must("GET", f"/imports/{sent['id']}")
        return state if state["finished_at"] else None

    return eventually(ended, "the import ends")


def _import(key: Caller, prefix: str) -> None:
    """Try the file first; mend what it says; then for real."""
    wrong = ("VALVE-0001", "截止阀", -1, "2026-02-30", "12.00", None)
    tried = _send(key, prefix, (*ROWS, wrong), dry_run="true")
    assert (tried["state"], tried["done"], tried["failed"]) == ("checked", 3, 1), tried
    errors = key.ask("GET", f"/imports/{tried['id']}/errors").body.decode("utf-8-sig").splitlines()
    assert len(errors) == 2, errors
    assert errors[1].startswith("5,"), "the row of the workbook that is wrong"
    assert key.ask("GET", f"/identifiers/{prefix}/PUMP-0001").status == 404, "nothing by a dry run"
    done = _send(key, prefix, ROWS)
    assert (done["state"], done["done"], done["failed"]) == ("done", 3, 0), done


def _relate(key: Caller, prefix: str) -> None:
    put = [
        {"subject": f"{prefix}/{part}", "kind": "part-of", "target": f"{prefix}/{whole}"}
        for part, whole in (("MOTOR-0001", "PUMP-0001"), ("SEAL-0001", "MOTOR-0001"))
    ]
    key.must("POST", "/relations", {"put": put})
    parts = key.must("GET", f"/identifiers/{prefix}/PUMP-0001/parts?depth=5")["items"]
    assert [(each["handle"], each["depth"]) for each in parts] == [
        (f"{prefix}/MOTOR-0001", 1),
        (f"{prefix}/SEAL-0001", 2),
    ]


def _correct(key: Caller, prefix: str) -> None:
    """Change one value; what the thing was before stays to be read."""
    power = {"index": 2001, "type": "POWER", "data": {"format": "string", "value": "11.00"}}
    path = f"/identifiers/{prefix}/PUMP-0001"
    key.must("PATCH", path, {"values": [power]})
    versions = key.must("GET", f"{path}/history")["items"]
    powers = [
        value["data"]["value"]
        for version in versions
        for value in version["values"]
        if value["index"] == 2001
    ]
    assert powers == ["11.00", "7.5"]


def _resolve(node: Node, prefix: str) -> None:
    """Anybody reads what is public, in Handle JSON, and nothing of what is not."""
    answer = node.call("GET", f"/api/handles/{prefix}/pump-0001", token=None)
    assert answer.status == 200
    values = {each["type"]: each["data"]["value"] for each in answer.json["values"]}
    assert values["NAME"] == "离心泵 IS80"
    assert values["POWER"] == "7.5"
    assert values["MADE"] == "2026-01-31"
    assert "COST" not in values, "a private item is not shown"


def _print_labels(node: Node, key: Caller, prefix: str) -> None:
    name = f"{prefix}/PUMP-0001"
    picture = key.ask("GET", f"/identifiers/{name}/label?format=png")
    assert picture.status == 200, picture.body
    (link,) = _read(Image.open(io.BytesIO(picture.body)))
    page = urllib.request.Request(link, headers={"Accept": "text/html"})
    with urllib.request.urlopen(page, timeout=20) as reply:
        assert name in reply.read().decode(), "the address on the label is the page of the goods"

    names = [f"{prefix}/{row[0]}" for row in ROWS]
    sheet = key.ask("POST", "/labels", {"identifiers": names, "symbol": "datamatrix"})
    assert (sheet.status, sheet.headers["Content-Type"]) == (200, "application/pdf")
    rendered = pypdfium2.PdfDocument(sheet.body)[0].render(scale=300 / 72).to_pil()
    links = _read(rendered)
    assert link in links
    assert {each.rpartition("/")[2] for each in links} == {row[0] for row in ROWS}


def _read(picture: Image.Image) -> list[str]:
    """Return what a camera reads in a picture."""
    return [found.text for found in zxingcpp.read_barcodes(picture.convert("L"))]


def _fetch_proof(key: Caller, name: str) -> Any:
    def covered() -> Any:
        proof = key.must("GET", f"/identifiers/{name}/proof")
        return proof if proof["items"] and not proof["waiting"] else None

    return eventually(covered, "a signed head covers what the day has brought")


def _verify_offline(directory: Path, proof: Any, public_key: str) -> None:
    """The node is gone: file and key of the log are enough, and an altered file is found."""
    (directory / "log.pem").write_text(public_key)
    (directory / "proof.json").write_text(json.dumps(proof))
    verify = ("audit", "verify", "--proof", "proof.json", "--key", "log.pem", "--json")
    good = command(*verify, cwd=directory)
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)["valid"] is True

    item = proof["items"][0]
    altered = item | {"leaf_input": item["leaf_input"].replace("PUMP-0001", "PUMP-0002")}
    assert altered != item
    (directory / "proof.json").write_text(json.dumps(proof | {"items": [altered]}))
    assert command(*verify, cwd=directory).returncode == 1
