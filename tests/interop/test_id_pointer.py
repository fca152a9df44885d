"""The SDK of the national nodes, cn.teleinfo.id-pointer:id-pointer-sdk, against a running node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from protocol.errors import ResponseCode
from tests.interop import java
from tests.interop.conftest import CLIENTS, WAITING_PREFIX, Realm

pytestmark = pytest.mark.timeout(java.BUILD_SECONDS + 120)

Steps = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> java.Program:
    out: Path = tmp_path_factory.mktemp("id-pointer")
    built = java.build("id-pointer", "IdPointerProgram", "id-pointer-sdk", out, optional=True)
    CLIENTS.append(f"cn.teleinfo.id-pointer:{built.client}")
    return built


@pytest.fixture(scope="module")
def steps(program: java.Program, realm: Realm) -> Steps:
    return program.run(
        "127.0.0.1",
        str(realm.handle_port),
        realm.prefix,
        realm.key,
        realm.wrong_key,
        realm.admin,
        realm.admin_key,
    )


def seen(steps: Steps, step: str) -> Any:
    assert "seen" in steps[step], f"{step}: the client failed: {steps[step]}"
    return steps[step]["seen"]


def test_client_resolves_on_one_connection(steps: Steps) -> None:
    values = {"1": "URL https://pumps.example/HTTP-1", "2": "EMAIL desk@pumps.example"}
    for step in ("resolve", "resolve-again"):
        assert seen(steps, step)["values"] == values
    for step in ("resolve-type", "resolve-index"):
        assert seen(steps, step)["values"] == {"2": values["2"]}
    long = {str(i): f"DESC {i} " + "长" * 100 for i in range(1, 8)}
    assert seen(steps, "resolve-long")["values"] == long
    assert steps["resolve-absent"]["code"] == ResponseCode.HANDLE_NOT_FOUND


def test_client_finds_the_address_of_a_prefix(steps: Steps, realm: Realm) -> None:
    assert seen(steps, "resolve-prefix-address")["port"] == realm.handle_port


def test_client_administers_an_identifier_in_one_login(steps: Steps, realm: Realm) -> None:
    for step in ("create", "add", "update", "remove", "delete"):
        seen(steps, step)
    assert steps["create-again"]["code"] == ResponseCode.HANDLE_EXISTS
    changed = {"1": "URL https://pumps.example/changed", "2": "DESC 泵 Pump"}
    assert seen(steps, "resolve-changed")["values"] == changed
    assert seen(steps, "resolve-removed")["values"] == {"1": changed["1"]}
    assert steps["resolve-deleted"]["code"] == ResponseCode.HANDLE_NOT_FOUND
    path = f"/api/v1/identifiers/{realm.prefix}/SDK-KEY/history"
    assert len(realm.node.get(path).json["items"]) == 4


def test_wrong_key_and_nobody_register_nothing(steps: Steps, realm: Realm) -> None:
    assert steps["create-wrong-key"]["code"] == ResponseCode.AUTHENTICATION_FAILED
    # The client takes a challenge for success: what counts is that nothing is registered.
    for suffix in ("SDK-WRONG", "SDK-NOBODY"):
        assert realm.node.get(f"/api/handles/{realm.prefix}/{suffix}").status == 404


@pytest.mark.parametrize("key", ["sm2", "sm2-stored"])
def test_identity_with_an_sm2_key_administers_what_names_it(steps: Steps, key: str) -> None:
    seen(steps, f"{key}-identity")
    seen(steps, f"{key}-update")
    assert seen(steps, f"{key}-resolve")["values"] == {"1": "URL https://pumps.example/changed"}
    assert steps[f"{key}-foreign"]["code"] == ResponseCode.INVALID_ADMIN


def test_administrator_of_the_node_homes_a_prefix(steps: Steps, realm: Realm) -> None:
    seen(steps, "home")
    seen(steps, "unhome")
    assert realm.node.get(f"/api/v1/prefixes/{WAITING_PREFIX}").json["status"] == "suspended"
