"""Two enterprises with everything that an enterprise can have, for tests that keep them apart.

Whoever adds a table of enterprises adds a row of it here: tests/integration/test_tenancy.py wants
one in each.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from registry.statistics import day_of
from tests.integration.registry_client import CONTACT, SITE, URL_VALUE, Node, credit_code

PASSWORD = "quiet heron 47 over the lock"
SECRET = "the secret of identity number 301"
TEMPLATE = "goods"
MAPPING = "erp"
GROUP = "suppliers"
PDF = b"%PDF-1.7\n%%EOF\n"
ITEM = {"index": 2000, "type": "NAME", "name": "名称", "data": {"kind": "string"}}


@dataclass(frozen=True)
class Tenant:
    """An enterprise, and what its people and programs hold.

    mark: a word that stands in everything it has that others may not read.
    """

    mark: str
    enterprise: str
    key: str
    session: str
    prefix: str
    pending: str
    ids: dict[str, str]

    @property
    def identity(self) -> str:
        """Its Handle identity, whose secret is SECRET."""
        return f"301:0.NA/{self.prefix}"


async def make(node: Node, number: int) -> Tenant:
    """Make the enterprise with this number, and a row of it in every table."""
    mark = f"marked{number}"
    enterprise = await _made(node, node.operator, "/enterprises", _enterprise(number, mark))
    at = f"/enterprises/{enterprise['id']}"
    key = await _made(node, node.operator, f"{at}/keys", {"label": f"key {mark}"})
    account = await _made(
        node,
        node.operator,
        "/accounts",
        {
            "name": f"admin.{mark}",
            "role": "administrator",
            "enterprise_id": enterprise["id"],
            "password": PASSWORD,
        },
    )
    other = await _made(
        node,
        key["key"],
        f"{at}/keys",
        {"label": f"second {mark}"},
        Idempotency_Key=f"made by {mark}".replace(" ", "-"),
    )
    credentials = {"name": account["name"], "password": PASSWORD}
    session = await _made(node, None, "/sessions", credentials)
    clerk = await _made(
        node,
        session["token"],
        "/accounts",
        {
            "name": f"clerk.{mark}",
            "role": "administrator",
            "enterprise_id": enterprise["id"],
        },
    )
    await _made(node, session["token"], f"/accounts/{clerk['id']}/password-reset", None)
    numbers = {"first": 1000 + number, "last": 1000 + number, "reason": f"for {mark}"}
    kept = await _made(node, node.operator, "/reserved-numbers", numbers)
    licence = await _made(
        node,
        session["token"],
        f"{at}/attachments?name={mark}.pdf",
        PDF + mark.encode(),
        Content_Type="application/pdf",
    )
    prefix = await node.prefix(enterprise["id"], key["key"])
    path = f"/prefixes/{prefix}/check"
    status, checked, _ = await node.call("POST", path, node.operator, {"site": SITE})
    assert (status, checked["passed"]) == (200, False), checked
    await _offer(node, prefix, enterprise["id"], mark)
    wish = {"enterprise_id": enterprise["id"], "hosting": "hosted"}
    pending = (await _made(node, key["key"], "/prefixes", wish))["prefix"]
    await _fill_prefix(node, key["key"], prefix, mark)
    await _templates(node, key["key"], prefix, mark)
    await _mapping(node, key["key"], prefix, mark)
    target = f"88.709.911/{mark}"
    await _group(node, key["key"], mark)
    await _relation(node, key["key"], f"{prefix}/SN-1/relations/derived-from/{target}")
    range_id = await _range(node, key["key"], prefix, mark)
    snms_user = {"name": f"mes {mark}", "password": PASSWORD, "hashed": True}
    application = await _made(node, key["key"], f"{at}/snms-users", snms_user)
    import_id = await _import(node, key["key"], prefix, mark)
    await _statistics(node, prefix, mark)
    staff = await _made(
        node, node.operator, "/accounts", {"name": f"staff.{number}", "role": "reviewer"}
    )
    night = await _made(node, node.operator, f"/accounts/{staff['id']}/keys", {})
    ids = {
        "message": await _message(node, prefix),
        "staff account": staff["id"],
        "staff key": night["id"],
        "account": clerk["id"],
        "attachment_id": licence["id"],
        "number": str(kept["first"]),
        "own account": account["id"],
        "key": other["id"],
        "import": import_id,
        "snms user": application["id"],
        "range": range_id,
        "template": TEMPLATE,
        "mapping": MAPPING,
        "published": "1",
        "draft": "2",
        "kind": "derived-from",
        "group": GROUP,
        "target": target,
    }
    return Tenant(mark, enterprise["id"], key["key"], session["token"], prefix, pending, ids)


async def _offer(node: Node, prefix: str, enterprise: str, mark: str) -> None:
    """Make the offer of a prefix, and of an old one: to itself, so that it is nobody else's."""
    statement = """INSERT INTO prefix_transfers (prefix, number, from_enterprise, to_enterprise,
        state, reason, begun_by, begun_at)
        VALUES (:prefix, 1, :id, :id, 'offered', :reason, 'account:system', now())"""
    await _written(node, statement, prefix, id=enterprise, reason=f"offer of {mark}")


async def _made(
    node: Node, token: str | None, path: str, body: Any, **headers: str
) -> dict[str, Any]:
    status, made, _ = await node.call("POST", path, token, body, **headers)
    assert status in (201, 202), (path, made)
    return dict(made)


def _enterprise(number: int, mark: str) -> dict[str, Any]:
    return {
        "name": f"Works {mark}",
        "credit_code": credit_code(number),
        "industry": "C3441",
        "contact": CONTACT,
    }


async def _fill_prefix(node: Node, key: str, prefix: str, mark: str) -> None:
    hidden = {
        "index": 7,
        "type": "NOTE",
        "data": {"format": "string", "value": f"note {mark}"},
        "permissions": "1100",
    }
    for values in ([URL_VALUE], [URL_VALUE, hidden]):  # the first becomes history
        status, answer, _ = await node.call(
            "PUT", f"/identifiers/{prefix}/SN-1", key, {"values": values}
        )
        assert status in (200, 201), answer
    secret = {
        "index": 301,
        "type": "HS_SECKEY",
        "data": {"format": "string", "value": SECRET},
        "permissions": "1100",
    }
    path = f"/identifiers/0.NA/{prefix}"
    status, answer, _ = await node.call("PATCH", path, key, {"values": [secret]})
    assert status == 200, answer


async def _range(node: Node, key: str, prefix: str, mark: str) -> str:
    """Make a range that has changed, and whose last member is gone."""
    note = {"index": 7, "type": "NOTE", "data": {"format": "string", "value": f"range {mark}"}}
    content = {"values": [note | {"permissions": "1100"}]}
    place = {"prefix": prefix, "first": "R-1", "last": "R-9"}
    made = await _made(node, key, "/ranges", place | content)
    status, answer, _ = await node.call("PUT", f"/ranges/{prefix}/{made['id']}", key, content)
    assert status == 200, answer
    status, _, _ = await node.call("DELETE", f"/identifiers/{prefix}/R-9", key)
    assert status == 204
    return str(made["id"])


async def _relation(node: Node, key: str, path: str) -> None:
    body = {"audience": "private"}
    status, answer, _ = await node.call("PUT", f"/identifiers/{path}", key, body)
    assert status == 201, answer


async def _group(node: Node, key: str, mark: str) -> None:
    members = {"members": [f"300:88.709.911/{mark}"]}
    status, answer, _ = await node.call("PUT", f"/groups/{GROUP}", key, members)
    assert status == 201, answer


async def _templates(node: Node, key: str, prefix: str, mark: str) -> None:
    """Make a published version and a draft of the template TEMPLATE."""
    body = {"prefix": prefix, "name": TEMPLATE, "items": [ITEM], "description": f"about {mark}"}
    await _made(node, key, "/templates", body)
    path = f"/templates/{prefix}/{TEMPLATE}"
    status, answer, _ = await node.call("POST", f"{path}/1/publish", key)
    assert status == 200, answer
    await _made(node, key, path, None)


async def _mapping(node: Node, key: str, prefix: str, mark: str) -> None:
    path = f"/mappings/{prefix}/{TEMPLATE}/{MAPPING}"
    status, answer, _ = await node.call("PUT", path, key, {"columns": {mark: ITEM["type"]}})
    assert status == 201, answer


async def _import(node: Node, key: str, prefix: str, mark: str) -> str:
    file = f"suffix,NOTE\nIMPORTED,{mark}\n".encode()
    path = f"/imports?prefix={prefix}"
    status, made, _ = await node.call("POST", path, key, file, Content_Type="text/csv")
    assert status == 202, made
    async with node.database.begin() as connection:
        await connection.execute(
            sa.text("INSERT INTO import_errors VALUES (:id, 1, 'NOTE', :reason)"),
            {"id": made["id"], "reason": f"reason {mark}"},
        )
    import_id: str = made["id"]
    return import_id


async def _statistics(node: Node, prefix: str, mark: str) -> None:
    now = datetime.datetime.now(datetime.UTC)
    for table in ("resolution_hours", "registration_hours"):
        await _written(
            node, f"INSERT INTO {table} (prefix, hour) VALUES (:prefix, :now)", prefix, now=now
        )
    await _written(node, "INSERT INTO registration_totals VALUES (:prefix, 1)", prefix)
    await _written(
        node,
        "INSERT INTO top_names VALUES (:prefix, :day, 'found', gen_random_uuid(), :mark, 1, 0)",
        prefix,
        day=day_of(now.timestamp()),
        mark=mark.upper(),
    )


async def _message(node: Node, prefix: str) -> str:
    """Return the id of the message that files a prefix."""
    async with node.database.begin() as connection:
        found = await connection.scalar(
            sa.text("SELECT message_id FROM outbox WHERE subject = :prefix ORDER BY id LIMIT 1"),
            {"prefix": prefix},
        )
    return str(found)


async def _written(node: Node, statement: str, prefix: str, **more: Any) -> None:
    async with node.database.begin() as connection:
        await connection.execute(sa.text(statement), {"prefix": prefix, **more})
