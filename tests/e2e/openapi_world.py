"""A registry with one of everything, made over HTTP, for requests out of the OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from registry.credit_code import check_character
from tests.e2e.node import TOKEN, Node, eventually

PASSWORD = "quiet heron 47 over the lock"
_VALUES = [
    {"index": 1, "type": "URL", "data": {"format": "string", "value": "https://w.example/1"}}
]
_ITEM = {"index": 2000, "type": "NAME", "name": "名称", "data": {"kind": "string"}}


@dataclass(frozen=True)
class World:
    """Who there is (bearer tokens by their names), and what is registered.

    kept, spare: values for parameters, by name, or by the resource and the name.
    """

    credentials: dict[str, str | None]
    kept: dict[str, list[Any]]
    spare: dict[str, list[Any]]


def make(node: Node) -> World:
    """Make the world: two enterprises with all that an enterprise can have."""
    first, second = _Works(node, 1), _Works(node, 2)
    auditor = _made(node, "/accounts", {"name": "auditor", "role": "auditor"})
    credentials = {
        "operator": TOKEN,
        "auditor": _made(node, f"/accounts/{auditor['id']}/keys")["key"],
        "administrator": first.session,
        "application": first.key,
        "snms": first.snms_token,
        "nobody": None,
    }
    return World(credentials, first.names(), second.names())


def _made(node: Node, path: str, body: object = None, **how: Any) -> Any:
    answer = node.call("POST", f"/api/v1{path}", body, **how)
    assert answer.status in (200, 201, 202), (path, answer.body)
    return answer.json


class _Works:
    """An enterprise and what it has."""

    def __init__(self, node: Node, number: int) -> None:
        head = f"91350211M{number:08d}"
        contact = {"name": "Desk", "phone": "+86 592 5550100", "email": "desk@works.example"}
        body = {
            "name": f"Works {number}",
            "credit_code": head + check_character(head),
            "industry": "C3441",
            "contact": contact,
        }
        self.id = _made(node, "/enterprises", body)["id"]
        at = f"/enterprises/{self.id}"
        self.key = _made(node, f"{at}/keys")["key"]
        self.key_id = _made(node, f"{at}/keys", {"label": "another"})["id"]
        licence = f"{at}/attachments?name=licence.pdf"
        pdf = b"%PDF-1.7\n%%EOF\n"
        self.attachment = _made(node, licence, pdf, content_type="application/pdf")["id"]
        people = {"role": "administrator", "enterprise_id": self.id, "password": PASSWORD}
        name = f"admin.{number}"
        self.account = _made(node, "/accounts", people | {"name": f"clerk.{number}"})["id"]
        _made(node, "/accounts", people | {"name": name})
        signed_in = _made(node, "/sessions", {"name": name, "password": PASSWORD})
        self.session = signed_in["token"]
        self.prefix = self._prefix(node)
        self.range = self._fill(node)
        file = b"suffix,1:URL\nI-1,https://w.example/i\n"
        path = f"/imports?prefix={self.prefix}"
        self.import_id = _made(node, path, file, token=self.key, content_type="text/csv")["id"]
        user = {"name": f"mes.{number}", "password": PASSWORD}
        self.snms_user = _made(node, f"{at}/snms-users", user)["id"]
        self.snms_token = _snms_token(node, user)
        waits = node.call("GET", f"/api/v1/outbox?subject={self.prefix}").json
        self.message = waits["items"][0]["id"]

    def _prefix(self, node: Node) -> str:
        wish = {"enterprise_id": self.id, "hosting": "hosted"}
        prefix: str = _made(node, "/prefixes", wish)["prefix"]
        _made(node, f"/prefixes/{prefix}/approve")
        return prefix

    def _fill(self, node: Node) -> str:
        at = f"/api/v1/identifiers/{self.prefix}"
        for suffix in ("SN-1", "SN-2"):
            assert node.call("PUT", f"{at}/{suffix}", {"values": _VALUES}).status == 201
        whole = f"{at}/SN-1/relations/part-of/{self.prefix}/SN-2"
        assert node.call("PUT", whole, {"audience": "public"}).status == 201
        template = {"prefix": self.prefix, "name": "goods", "items": [_ITEM]}
        _made(node, "/templates", template)
        _made(node, f"/templates/{self.prefix}/goods/1/publish")
        _made(node, f"/templates/{self.prefix}/goods")
        at = f"/api/v1/mappings/{self.prefix}/goods/erp"
        assert node.call("PUT", at, {"suffix": "No."}).status == 201
        place = {"prefix": self.prefix, "first": "R-1", "last": "R-9", "values": _VALUES}
        made: str = _made(node, "/ranges", place)["id"]
        return made

    def names(self) -> dict[str, list[Any]]:
        """Return values by the names of parameters and members."""
        identifiers = [f"{self.prefix}/SN-1", f"{self.prefix}/SN-2", f"{self.prefix}/R-3"]
        return {
            "attachment_id": [self.attachment],
            "accounts id": [self.account],
            "enterprises id": [self.id],
            "imports id": [self.import_id],
            "outbox id": [self.message],
            "ranges id": [self.range],
            "enterprise_id": [self.id],
            "handle": identifiers,
            "identifiers": [identifiers],
            "key_id": [self.key_id],
            "mapping": ["erp"],
            "prefix": [self.prefix],
            "subject": identifiers,
            "suffix": ["SN-1", "SN-2", "R-3"],
            "target": identifiers,
            "template": ["goods"],
            "user_id": [self.snms_user],
            "version": ["1", "2", 1],
        }


def _snms_token(node: Node, user: dict[str, str]) -> str:
    body = {"username": user["name"], "password": user["password"]}

    def token() -> Any:
        answer = node.call("POST", "/identity/token", body, token=None)
        return answer.json["data"] and answer.json["data"]["token"]

    given: str = eventually(token, "a user of the SNMS API gets a token")
    return given
