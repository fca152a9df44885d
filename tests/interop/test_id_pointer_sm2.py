"""The SDK of the national nodes with identities whose keys are of SM2, against a running node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from protocol.errors import ResponseCode
from tests.interop import java
from tests.interop.conftest import Realm

pytestmark = pytest.mark.timeout(java.BUILD_SECONDS + 120)

Steps = dict[str, dict[str, Any]]

CHANGED = "URL https://pumps.example/second"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> java.Program:
    out: Path = tmp_path_factory.mktemp("id-pointer")
    return java.build("id-pointer", "IdPointerSm2Program", "id-pointer-sdk", out, optional=True)


@pytest.fixture(scope="module")
def steps(program: java.Program, realm: Realm) -> Steps:
    return program.run("127.0.0.1", str(realm.handle_port), realm.prefix, realm.key)


def seen(steps: Steps, step: str) -> Any:
    assert "seen" in steps[step], f"{step}: the client failed: {steps[step]}"
    return steps[step]["seen"]


def test_client_registers_keys_as_it_writes_them(steps: Steps) -> None:
    for step in ("register-owner", "register-user", "register-owned"):
        seen(steps, step)


@pytest.mark.parametrize("way", ["made", "read", "encrypt"])
def test_owner_of_a_prefix_administers(steps: Steps, realm: Realm, way: str) -> None:
    """A key that was made by the client, one that was read from PEM, and the wish to encrypt."""
    for step in ("create", "update", "delete"):
        seen(steps, f"{way}-{step}")
    assert seen(steps, f"{way}-resolve") == {"1": CHANGED}
    path = f"/api/v1/identifiers/{realm.prefix}/SM2-{way.upper()}/history"
    assert len(realm.node.get(path).json["items"]) == 2, (
        "both states that it had stand in the history"
    )


def test_user_administers_what_names_it(steps: Steps, realm: Realm) -> None:
    seen(steps, "user-update")
    assert seen(steps, "user-resolve")["1"] == CHANGED
    assert steps["user-create"]["code"] == ResponseCode.INVALID_ADMIN
    assert realm.node.get(f"/api/handles/{realm.prefix}/SM2-NOT-MINE").status == 404


def test_another_key_registers_nothing(steps: Steps, realm: Realm) -> None:
    assert steps["wrong-key"]["code"] == ResponseCode.AUTHENTICATION_FAILED
    assert realm.node.get(f"/api/handles/{realm.prefix}/SM2-WRONG").status == 404
