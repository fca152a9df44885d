"""A node with an enterprise whose keys Handle clients know, and the versions of those clients."""

from __future__ import annotations

import base64
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from protocol.handle.keys import encode_public_key
from tests.conftest import with_database
from tests.e2e.node import Node, free_port, serve

CLIENTS: list[str] = []
"""Clients that were run, with their versions: told at the end of the tests."""

ADMIN_PREFIX, WAITING_PREFIX = "88.118.900", "88.118.777"
SECRET = "correct horse battery staple"
IDENTIFIERS = 120


@dataclass(frozen=True)
class Realm:
    """A running node, and who may do what on it.

    prefix: hosted; key, secret: of 300 and 301 at its prefix handle; wrong_key: of nobody.
    admin_key: of `admin`, who runs the node. Keys are files in PKCS #8, DER.
    """

    node: Node
    handle_port: int
    prefix: str
    key: Path
    wrong_key: Path
    admin: str
    admin_key: Path


def value(index: int, type_: str, data: str, form: str = "string", **more: Any) -> dict[str, Any]:
    """Return one value in Handle JSON."""
    return {"index": index, "type": type_, "data": {"format": form, "value": data}, **more}


@pytest.fixture(scope="module")
async def own_database_url(postgres_url: str, template_url: str) -> str:
    """URL of a migrated, empty database for all tests of a file."""
    return await new_database(postgres_url, template_url)


async def new_database(postgres_url: str, template_url: str) -> str:
    """Make a migrated, empty database and return its URL."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    template = template_url.partition("?")[0].rpartition("/")[2]
    admin = await asyncpg.connect(postgres_url)
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    await admin.close()
    return with_database(postgres_url, name)


@pytest.fixture(scope="module")
def realm(own_database_url: str) -> Iterator[Realm]:
    directory = Path(tempfile.mkdtemp(prefix="idnode-interop-"))
    handle_port, admin = free_port(), f"300:0.NA/{ADMIN_PREFIX}"
    settings = {
        "handle_port": handle_port,
        "handle_admins": admin,
        "handle_site_serial": 2,
        "udp_bytes_per_second": 20_000,
    }
    with serve(directory, database_url=own_database_url, **settings) as node:
        prefix = node.register([f"HTTP-{number}" for number in range(1, IDENTIFIERS)])
        pages = [value(index, "DESC", f"{index} " + "长" * 100) for index in range(1, 8)]
        _expect(node, 201, "PUT", f"identifiers/{prefix}/HTTP-LONG", {"values": pages})
        mail = {"values": [value(2, "EMAIL", "desk@pumps.example")]}
        _expect(node, 200, "PATCH", f"identifiers/{prefix}/HTTP-1", mail)
        (enterprise,) = node.get("/api/v1/enterprises").json["items"]
        for wanted in (ADMIN_PREFIX, WAITING_PREFIX):
            body = {"enterprise_id": enterprise["id"], "prefix": wanted, "hosting": "hosted"}
            _expect(node, 201, "POST", "prefixes", body)
        _expect(node, 200, "POST", f"prefixes/{ADMIN_PREFIX}/approve")
        key, public = _key(directory / "key.der")
        admin_key, admin_public = _key(directory / "admin.der")
        wrong_key, _ = _key(directory / "wrong.der")
        secret = value(301, "HS_SECKEY", SECRET, permissions="1100")
        keys = {"values": [value(300, "HS_PUBKEY", public, "base64"), secret]}
        _expect(node, 200, "PATCH", f"identifiers/0.NA/{prefix}", keys)
        keys = {"values": [value(300, "HS_PUBKEY", admin_public, "base64")]}
        _expect(node, 200, "PATCH", f"identifiers/0.NA/{ADMIN_PREFIX}", keys)
        yield Realm(node, handle_port, prefix, key, wrong_key, admin, admin_key)
    shutil.rmtree(directory)


def _expect(node: Node, status: int, method: str, path: str, body: object = None) -> None:
    answer = node.call(method, f"/api/v1/{path}", body)
    assert answer.status == status, answer.body


def _key(file: Path) -> tuple[Path, str]:
    """Make an RSA key; return its file and the base64 of its public half as in HS_PUBKEY."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    octets = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(octets)
    return file, base64.b64encode(encode_public_key(key.public_key())).decode()


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["clients"] = CLIENTS


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over from a process that ran a part of the tests what it tells at its end."""
    CLIENTS.extend(getattr(node, "workeroutput", {}).get("clients", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for client in CLIENTS:
        terminalreporter.write_line(f"interop: {client}")
