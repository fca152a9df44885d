"""One enterprise tries to reach what is another's, through every operation of the OpenAPI document.

The operations are taken from the document: one without a case here fails the test. Each is tried
with the key and with the session of the stranger, aimed at what the other has; nothing may change
and no marked word may come back. Then the same request is sent by who may: it must get through, so
that it was isolation that refused it and nothing else. `pytest -s` prints what was tried.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from registry.database import Database
from registry.tenancy import ROLE
from tests.integration import log_support, rest_support, tenants
from tests.integration.registry_client import CONTACT, SITE, URL_VALUE, Node, credit_code, running
from tests.integration.tenants import ITEM, PASSWORD, PDF, Tenant

Body = Callable[[Tenant, Tenant], Any]
"""Takes the enterprise aimed at and the stranger."""

REFUSED = frozenset({403, 404})


@dataclass(frozen=True)
class Case:
    """How one operation is aimed at another enterprise.

    at: for a parameter of the path, what of the tenant it names (see `_named`). refused: the
    statuses that are a refusal; empty: the answer is the stranger's own, without a marked word.
    query: what follows the path. control: the statuses of who may, beside success; None where
    nobody but the caller itself is concerned.
    """

    at: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    query: Callable[[Tenant], str] | None = None
    refused: frozenset[int] = REFUSED
    control: frozenset[int] | None = frozenset()
    headers: Mapping[str, str] = field(default_factory=dict)


def _reason(own: Tenant, stranger: Tenant) -> Any:
    return {"reason": "because"}


def _values(own: Tenant, stranger: Tenant) -> Any:
    return {"values": [URL_VALUE]}


def _account(status: str) -> Body:
    return lambda own, stranger: {"status": status}


_ACCOUNT = {"id": "account"}
_STAFF = {"id": "staff account", "key_id": "staff key"}
_ENTERPRISE = {"id": "enterprise", "key_id": "key", "user_id": "snms user"}
_RANGE = {"id": "range"}
_OWN_ONLY = frozenset[int]()
_STATE = frozenset({409})
"""The state does not allow the step: who asks has got past the question who may."""

CASES: dict[str, Case] = {
    "createAccount": Case(
        body=lambda own, stranger: {
            "name": f"intruder.of.{stranger.enterprise[:8]}",
            "role": "administrator",
            "enterprise_id": own.enterprise,
        }
    ),
    "listAccounts": Case(query=lambda own: f"?enterprise_id={own.enterprise}"),
    "getAccount": Case(_ACCOUNT),
    "changeAccount": Case(_ACCOUNT, body=_account("disabled")),
    "deleteAccount": Case(_ACCOUNT),
    "resetPassword": Case(_ACCOUNT, control=_STATE),
    "issueAccountKey": Case(_STAFF),
    "listAccountKeys": Case(_STAFF),
    "revokeAccountKey": Case(_STAFF),
    "rotateAccountKey": Case(_STAFF, control=_STATE),
    "setPassword": Case(
        body=lambda own, stranger: {"token": stranger.session, "password": PASSWORD + "!"},
        refused=frozenset({401}),
        control=None,
    ),
    "signIn": Case(
        body=lambda own, stranger: {"name": f"admin.{own.mark}", "password": PASSWORD + "!"},
        refused=frozenset({401}),
        control=None,
    ),
    "signOut": Case(refused=frozenset({204, 409}), control=None),
    "whoAmI": Case(refused=_OWN_ONLY),
    "changePassword": Case(
        body=lambda own, stranger: {"password": "not it", "new_password": PASSWORD + "!"},
        refused=frozenset({401, 403}),
        control=None,
    ),
    "createEnterprise": Case(
        body=lambda own, stranger: {
            "name": "Third works",
            "credit_code": credit_code(77),
            "industry": "C3441",
            "contact": CONTACT,
        }
    ),
    "listEnterprises": Case(refused=_OWN_ONLY),
    "getEnterprise": Case(_ENTERPRISE),
    "changeEnterprise": Case(
        _ENTERPRISE,
        lambda own, stranger: {
            "name": f"Works {own.mark}",
            "credit_code": credit_code(78),
            "industry": "C3441",
            "contact": CONTACT,
        },
    ),
    "fileEnterprise": Case(
        body=lambda own, stranger: {
            "name": "Fourth works",
            "credit_code": credit_code(79),
            "industry": "C3441",
            "region": "350211",
            "contact": CONTACT,
            "administrator": {"name": "fourth", "password": PASSWORD},
        },
        refused=frozenset({201, 409}),
        control=None,
    ),
    "listEnterpriseSteps": Case(_ENTERPRISE),
    "reviewEnterprise": Case(_ENTERPRISE, control=_STATE),
    "approveEnterprise": Case(_ENTERPRISE, control=_STATE),
    "rejectEnterprise": Case(_ENTERPRISE, _reason, control=_STATE),
    "refileEnterprise": Case(_ENTERPRISE, control=_STATE),
    "suspendEnterprise": Case(_ENTERPRISE, _reason),
    "resumeEnterprise": Case(_ENTERPRISE),
    "closeEnterprise": Case(_ENTERPRISE, _reason),
    "addAttachment": Case(
        _ENTERPRISE,
        lambda own, stranger: PDF,
        query=lambda own: f"?name={own.mark}.pdf",
        headers={"Content_Type": "application/pdf"},
    ),
    "listAttachments": Case(_ENTERPRISE),
    "getAttachment": Case(_ENTERPRISE),
    "deleteAttachment": Case(_ENTERPRISE),
    "reserveNumbers": Case(
        body=lambda own, stranger: {"first": 700, "last": 709, "reason": f"for {own.mark}"}
    ),
    "listReservedNumbers": Case(),
    "releaseNumbers": Case({"number": "number"}),
    "setPrefixQuota": Case(_ENTERPRISE, lambda own, stranger: {"quota": 9}),
    "checkSite": Case(body=lambda own, stranger: {"site": SITE}),
    "getSiteCheck": Case(),
    "changeHosting": Case(body=lambda own, stranger: {"hosting": "hosted"}),
    "transferPrefix": Case(
        body=lambda own, stranger: {"enterprise_id": stranger.enterprise, "reason": "because"},
        control=None,
    ),
    "acceptPrefix": Case(control=None),
    "endPrefixOffer": Case(),
    "listPrefixSteps": Case(),
    "listTransfers": Case(refused=_OWN_ONLY),
    "listIndustries": Case(refused=_OWN_ONLY, control=None),
    "listRegions": Case(refused=_OWN_ONLY, control=None),
    "issueKey": Case(_ENTERPRISE),
    "listKeys": Case(_ENTERPRISE),
    "revokeKey": Case(_ENTERPRISE),
    "rotateKey": Case(_ENTERPRISE, control=_STATE),
    "applyForPrefix": Case(
        body=lambda own, stranger: {"enterprise_id": own.enterprise, "hosting": "hosted"}
    ),
    "listPrefixes": Case(refused=_OWN_ONLY),
    "getPrefix": Case(),
    "approvePrefix": Case({"prefix": "pending"}, control=_STATE),
    "rejectPrefix": Case({"prefix": "pending"}, _reason, control=_STATE),
    "suspendPrefix": Case(body=_reason, control=_STATE),
    "resumePrefix": Case(control=_STATE),
    "revokePrefix": Case(body=_reason, control=_STATE),
    "putIdentifier": Case(body=_values),
    "getIdentifier": Case(),
    "patchIdentifier": Case(body=_values),
    "deleteIdentifier": Case(),
    "getHistory": Case(),
    "changeIdentifiers": Case(
        body=lambda own, stranger: {
            "operations": [
                {"op": "put", "identifier": f"{own.prefix}/SN-1", "values": [URL_VALUE]},
                {"op": "delete", "identifier": f"{own.prefix}/SN-2"},
            ]
        },
        control=frozenset({404}),
    ),
    "listIdentifiers": Case(query=lambda own: f"?prefix={own.prefix}"),
    "createRange": Case(
        body=lambda own, stranger: {
            "prefix": own.prefix,
            "first": "X-1",
            "last": "X-9",
            "values": [URL_VALUE],
        }
    ),
    "exportIdentifiers": Case(query=lambda own: f"?prefix={own.prefix}"),
    "listRanges": Case(query=lambda own: f"?prefix={own.prefix}"),
    "getRange": Case(_RANGE),
    "putRange": Case(_RANGE, body=_values),
    "deleteRange": Case(_RANGE),
    "listGroups": Case(query=lambda own: f"?enterprise_id={own.enterprise}"),
    "getGroup": Case(query=lambda own: f"?enterprise_id={own.enterprise}"),
    "putGroup": Case(
        body=lambda own, stranger: {"members": [stranger.identity]},
        query=lambda own: f"?enterprise_id={own.enterprise}",
    ),
    "deleteGroup": Case(query=lambda own: f"?enterprise_id={own.enterprise}"),
    "getShared": Case(refused=_OWN_ONLY),
    "putRelation": Case(body=lambda own, stranger: {"audience": "public"}),
    "getRelation": Case(),
    "deleteRelation": Case(),
    "listRelations": Case(),
    "getRelationHistory": Case(),
    "listParts": Case(),
    "listUses": Case(),
    "changeRelations": Case(
        body=lambda own, stranger: {
            "put": [
                {
                    "subject": f"{own.prefix}/SN-1",
                    "kind": "replaced-by",
                    "target": f"{stranger.prefix}/SN-1",
                }
            ]
        }
    ),
    "createImport": Case(
        query=lambda own: f"?prefix={own.prefix}",
        body=lambda own, stranger: b"suffix,NOTE\nSN-1,taken over\n",
        refused=frozenset({409}),
        headers={"Content_Type": "text/csv"},
    ),
    "listImports": Case(refused=_OWN_ONLY),
    "getImport": Case({"id": "import"}),
    "getImportErrors": Case({"id": "import"}),
    "cancelImport": Case({"id": "import"}),
    "resumeImport": Case({"id": "import"}),
    "listMappings": Case(query=lambda own: f"?prefix={own.prefix}"),
    "getMapping": Case(),
    "putMapping": Case(body=lambda own, stranger: {"constants": {ITEM["type"]: "taken over"}}),
    "deleteMapping": Case(),
    "createTemplate": Case(
        body=lambda own, stranger: {"prefix": own.prefix, "name": "other", "items": [ITEM]}
    ),
    "listTemplates": Case(refused=_OWN_ONLY),
    "listTemplateVersions": Case(),
    "draftTemplateVersion": Case(control=_STATE),
    "getTemplate": Case({"version": "published"}),
    "replaceTemplate": Case({"version": "draft"}, lambda own, stranger: {"items": [ITEM]}),
    "deleteTemplate": Case({"version": "draft"}, control=_STATE),
    "publishTemplate": Case({"version": "draft"}),
    "withdrawTemplate": Case({"version": "published"}, _reason),
    "getLabel": Case(),
    "getLogHead": Case(refused=_OWN_ONLY, control=None),
    "getLogEntries": Case(query=lambda own: "?start=0&end=999"),
    "getInclusionProof": Case(query=lambda own: "?leaf_index=0", refused=_OWN_ONLY, control=None),
    "getConsistencyProof": Case(query=lambda own: "?first=1", refused=_OWN_ONLY, control=None),
    "getIdentifierProof": Case(),
    "createSnmsUser": Case(
        _ENTERPRISE,
        lambda own, stranger: {"name": f"mes of {stranger.mark}", "password": PASSWORD},
    ),
    "listSnmsUsers": Case(_ENTERPRISE),
    "deleteSnmsUser": Case(_ENTERPRISE),
    "countResolutions": Case(
        query=lambda own: f"?by=prefix&prefix={own.prefix}", refused=_OWN_ONLY
    ),
    "countRegistrations": Case(query=lambda own: f"?enterprise_id={own.enterprise}"),
    "countIdentifiers": Case(query=lambda own: f"?enterprise_id={own.enterprise}"),
    "listTopNames": Case(query=lambda own: f"?prefix={own.prefix}", refused=_OWN_ONLY),
    "listOutbox": Case(),
    "retryOutbox": Case(),
    "retryMessage": Case({"id": "message"}),
    "dropMessage": Case({"id": "message"}, _reason),
    "makeLabels": Case(body=lambda own, stranger: {"identifiers": [f"{own.prefix}/SN-1"]}),
}

_LAST = (
    "suspendPrefix",
    "rejectPrefix",
    "revokePrefix",
    "suspendEnterprise",
    "resumeEnterprise",
    "closeEnterprise",
)
"""Steps that who may takes last, after all that can be done under a prefix, in this order."""


@pytest.fixture
async def node(database: Database) -> AsyncIterator[Node]:
    async with running(database, public_url="http://127.0.0.1:8000") as node:
        yield node


_PARAMETERS = (
    "id",
    "number",
    "attachment_id",
    "key_id",
    "user_id",
    "prefix",
    "suffix",
    "template",
    "mapping",
    "version",
    "kind",
    "target",
    "group",
)


async def _operations(node: Node) -> list[tuple[str, str, str]]:
    """Return those of the registry API; those of the SNMS API: tests/integration/snms."""
    document = await (await node.client.get("/openapi.json")).json()
    return [
        (operation["operationId"], method.upper(), path.removeprefix("/api/v1"))
        for path, methods in document["paths"].items()
        if path.startswith("/api/v1/")
        for method, operation in methods.items()
    ]


def _named(tenant: Tenant, what: str) -> str:
    named = {"enterprise": tenant.enterprise, "prefix": tenant.prefix, "pending": tenant.pending}
    return (named | {"suffix": "SN-1"} | tenant.ids)[what]


def path_of(operation: tuple[str, str, str], own: Tenant) -> str:
    """Return the path of an operation (name, method, path with parameters) aimed at `own`."""
    name, _, path = operation
    case = CASES[name]
    for parameter in _PARAMETERS:
        if f"{{{parameter}}}" in path:
            value = _named(own, case.at.get(parameter, parameter))
            path = path.replace(f"{{{parameter}}}", value)
    return path if case.query is None else path + case.query(own)


async def _send(
    node: Node, operation: tuple[str, str, str], own: Tenant, stranger: Tenant, token: str | None
) -> tuple[int, str]:
    name, method, _ = operation
    case, path = CASES[name], path_of(operation, own)
    body = None if case.body is None else case.body(own, stranger)
    sent = {"json": body} if not isinstance(body, bytes | None) else {"data": body}
    headers = {key.replace("_", "-"): value for key, value in case.headers.items()}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    url = node.url(path)
    async with node.client.request(method, url, headers=headers, **sent) as response:  # type: ignore[arg-type]
        return response.status, (await response.read()).decode("utf-8", "replace")


async def _snapshot(database: Database, enterprise: str) -> str:
    """Return what tells every state of everything that an enterprise has from every other."""
    async with database.begin() as connection:
        tables = await connection.scalars(
            sa.text(
                "SELECT relname FROM pg_class WHERE relrowsecurity AND relname <> 'audit_log'"
                " AND NOT relispartition AND has_table_privilege(:role, oid, 'SELECT')"
            ),
            {"role": ROLE},
        )
        rows = " UNION ALL ".join(
            f"SELECT '{table}' || to_jsonb(t)::text AS line FROM {table} AS t" for table in tables
        )
        await connection.execute(
            sa.text("SELECT set_config('idnode.tenant', :id, true)"), {"id": enterprise}
        )
        await connection.exec_driver_sql(f"SET LOCAL ROLE {ROLE}")
        found = await connection.scalar(
            sa.text(f"SELECT md5(string_agg(line, ' ' ORDER BY line)) FROM ({rows}) AS everything")
        )
        return str(found)


async def test_every_operation_has_a_case(node: Node) -> None:
    names = {name for name, _, _ in await _operations(node)}
    assert names - set(CASES) == set(), "operations of the document that nobody tries to cross"
    assert set(CASES) - names == set(), "cases of operations that are not there"


async def test_no_operation_reaches_another_enterprise(node: Node) -> None:
    own, stranger = await tenants.make(node, 1), await tenants.make(node, 2)
    await log_support.sign(node.database)
    operations = await _operations(node)
    # To sign out ends the session that is tried with.
    operations.sort(key=lambda operation: operation[0] == "signOut")
    before = await _snapshot(node.database, own.enterprise)
    for who, token in (("key", stranger.key), ("session", stranger.session)):
        for operation in operations:
            name, method, path = operation
            case = CASES[name]
            status, text = await _send(node, operation, own, stranger, token)
            print(f"{who:8} {method:7} {path:45} {status}")
            if case.refused:
                assert status in case.refused, (who, operation, status, text)
            else:
                assert status == 200, (who, operation, status, text)
            assert own.mark not in text, (who, operation, text)
            assert await _snapshot(node.database, own.enterprise) == before, (who, operation)
    await _controls(node, operations, own, stranger)


async def _controls(
    node: Node, operations: list[tuple[str, str, str]], own: Tenant, stranger: Tenant
) -> None:
    """Send each request in the name of an operator, who may: the refusals were no accident."""

    def turn(operation: tuple[str, str, str]) -> tuple[int, bool, int]:
        # What hangs on something is deleted before it.
        deletes = operation[1] == "DELETE"
        last = _LAST.index(operation[0]) + 1 if operation[0] in _LAST else 0
        return last, deletes, -operation[2].count("/") if deletes else 0

    for operation in sorted(operations, key=turn):
        case = CASES[operation[0]]
        if case.control is None:
            continue
        status, text = await _send(node, operation, own, stranger, node.operator)
        assert status < 300 or status in case.control, (operation, status, text)
        if not case.refused and operation[0] != "whoAmI":
            assert own.mark in text or own.prefix in text or own.ids["import"] in text, operation


_OPEN = (
    "signIn",
    "setPassword",
    "getLogHead",
    "fileEnterprise",
    "listIndustries",
    "listRegions",
)
"""Operations that ask for no token."""

_NAMES = ("/api/handles/{prefix}/SN-1", "/api/handles/0.NA/{prefix}", "/api/handles/{prefix}/NEW")
_VALUES = [rest_support.value(1, "https://taken.over.example")]
HANDLE_REQUESTS: tuple[tuple[str, str, Any], ...] = (
    *(("PUT", name, _VALUES) for name in _NAMES),
    *(("PUT", f"{name}?index=7", [rest_support.value(7, "x", "NOTE")]) for name in _NAMES),
    *(("DELETE", name, None) for name in _NAMES[:2]),
    *(("DELETE", f"{name}?index=1", None) for name in _NAMES[:1]),
    ("GET", "/api/handles/{prefix}/SN-1?auth=true", None),
    ("POST", "/api/handles/{prefix}/SN-1", {"auth": True}),
    ("GET", "/api/handles?prefix={prefix}&page=0&pageSize=100", None),
    ("GET", "/api/prefixes?page=0&pageSize=100", None),
    ("POST", "/api/prefixes/{pending}", None),
    ("DELETE", "/api/prefixes/{prefix}", None),
)


async def test_no_handle_identity_reaches_another_enterprise(node: Node, tmp_path: Path) -> None:
    own, stranger = await tenants.make(node, 1), await tenants.make(node, 2)
    before = await _snapshot(node.database, own.enterprise)
    async with rest_support.serving(node.database.url, tmp_path) as front:

        async def ask(method: str, path: str, body: Any, who: Tenant) -> rest_support.Answer:
            auth = rest_support.basic(who.identity, tenants.SECRET)
            return await front.ask(method, path, body, auth)

        for method, path, body in HANDLE_REQUESTS:
            aimed = path.format(prefix=own.prefix, pending=own.pending)
            answer = await ask(method, aimed, body, stranger)
            print(f"identity {method:7} {path:45} {answer.status}")
            if "SN-1" in path and method in ("GET", "POST"):
                assert answer.status == 200
                assert own.mark.encode() not in answer.body, "a value that is not public is shown"
            else:
                assert answer.status in REFUSED, (method, path, answer.body)
            assert await _snapshot(node.database, own.enterprise) == before, (method, path)
        for name, method, path in await _operations(node):
            if name in _OPEN:
                continue
            for key, value in (("{prefix}", own.prefix), ("{suffix}", "SN-1")):
                path = path.replace(key, value)  # noqa: PLW2901
            path = path.replace("{id}", own.enterprise).replace("{key_id}", own.ids["key"])  # noqa: PLW2901
            path = path.replace("{number}", own.ids["number"])  # noqa: PLW2901
            path = path.replace("{user_id}", own.ids["snms user"])  # noqa: PLW2901
            path = path.replace("{attachment_id}", own.ids["attachment_id"])  # noqa: PLW2901
            path = path.replace("{template}", own.ids["template"]).replace("{version}", "1")  # noqa: PLW2901
            path = path.replace("{group}", own.ids["group"])  # noqa: PLW2901
            path = path.replace("{kind}", own.ids["kind"]).replace("{target}", own.ids["target"])  # noqa: PLW2901
            answer = await ask(method, f"/api/v1{path}", {} if method != "GET" else None, stranger)
            assert answer.status in (401, 415), (method, path, answer.body)
        assert await _snapshot(node.database, own.enterprise) == before
        shown = await ask("GET", f"/api/handles/{own.prefix}/SN-1?auth=true", None, own)
        assert own.mark in json.dumps(shown.json), "its own identity sees what is not public"
        changed = await ask("PUT", f"/api/handles/{own.prefix}/SN-1", _VALUES, own)
        assert changed.status == 200, changed.body
