"""The reference client, net.handle:handle-client as it is published, against a running node."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from protocol.errors import ResponseCode
from tests.interop import java
from tests.interop.conftest import CLIENTS, IDENTIFIERS, SECRET, WAITING_PREFIX, Realm

pytestmark = pytest.mark.timeout(java.BUILD_SECONDS + 120)

AUDITED = {"identifier.put", "identifier.patch", "identifier.delete"}

UNABLE_TO_AUTHENTICATE = 8
"""What the client says itself when it is challenged and has no key."""

Steps = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> java.Program:
    out = tmp_path_factory.mktemp("handle-client")
    built = java.build("handle-client", "HandleClientProgram", "handle-client", out)
    CLIENTS.append(f"net.handle:{built.client}")
    return built


@pytest.fixture(scope="module")
def steps(program: java.Program, realm: Realm) -> Steps:
    return program.run(
        "127.0.0.1",
        str(realm.handle_port),
        str(realm.node.http_port),
        realm.prefix,
        realm.key,
        realm.wrong_key,
        SECRET,
        realm.admin,
        realm.admin_key,
    )


def seen(steps: Steps, step: str) -> Any:
    assert "seen" in steps[step], f"{step}: the client failed: {steps[step]}"
    return steps[step]["seen"]


def code(steps: Steps, step: str) -> ResponseCode:
    return ResponseCode(seen(steps, step)["code"])


def test_client_learns_of_the_site_that_it_goes_on_with(steps: Steps) -> None:
    assert seen(steps, "site-info")["version"] == "2.11"
    assert set(seen(steps, "site-info")["interfaces"]) == {"UDP", "TCP", "HTTP"}


@pytest.mark.parametrize("way", ["udp", "tcp", "http", "site", "digest", "from-the-root"])
def test_client_resolves(steps: Steps, realm: Realm, way: str) -> None:
    answer = seen(steps, f"resolve-{way}")
    assert answer["code"] == ResponseCode.SUCCESS
    assert answer["version"] == "2.11"
    assert answer["handle"] == f"{realm.prefix}/HTTP-1"
    values = {"1": "URL https://pumps.example/HTTP-1", "2": "EMAIL desk@pumps.example"}
    assert answer["values"] == values


def test_client_gets_back_the_spelling_it_asked_for(steps: Steps, realm: Realm) -> None:
    assert seen(steps, "resolve-folded")["handle"] == f"{realm.prefix}/http-1"


def test_answers_and_questions_longer_than_a_datagram_come_whole(steps: Steps) -> None:
    values = seen(steps, "resolve-fragments")["values"]
    assert values == {str(i): f"DESC {i} " + "长" * 100 for i in range(1, 8)}
    assert seen(steps, "resolve-long-question")["values"] == {
        "1": "URL https://pumps.example/HTTP-1"
    }


def test_client_asks_over_tcp_for_what_is_too_much_for_udp(steps: Steps, realm: Realm) -> None:
    assert seen(steps, "resolve-long-often")["whole"] == 100
    dropped = realm.node.metric("idnode_udp_dropped_total", reason="bytes")
    assert dropped > 0, "100 long answers a source are more than it gets over UDP"


def test_client_gets_only_the_values_it_asked_for(steps: Steps) -> None:
    for step in ("resolve-type", "resolve-index"):
        assert seen(steps, step)["values"] == {"2": "EMAIL desk@pumps.example"}
    assert code(steps, "resolve-type-absent") is ResponseCode.VALUES_NOT_FOUND
    assert code(steps, "resolve-absent") is ResponseCode.HANDLE_NOT_FOUND
    assert code(steps, "resolve-foreign") is ResponseCode.SERVER_NOT_RESPONSIBLE


def test_client_verifies_a_signed_answer_with_the_key_of_the_site(steps: Steps) -> None:
    answer = seen(steps, "resolve-certified")
    assert (answer["code"], answer["signed"], answer["verified"]) == (1, True, True)


def test_values_for_administrators_are_shown_to_them_alone(steps: Steps) -> None:
    public = seen(steps, "resolve-restricted-public")["values"]
    assert {"100", "200", "300"} <= public.keys()
    assert "301" not in public, "a secret key is not public"
    assert code(steps, "resolve-restricted-admin") is ResponseCode.SUCCESS
    assert seen(steps, "resolve-restricted-admin")["values"].keys() == {"301"}


@pytest.mark.parametrize("proof", ["key", "secret"])
def test_client_administers_an_identifier(steps: Steps, realm: Realm, proof: str) -> None:
    handle = f"{realm.prefix}/JAVA-{proof.upper()}"
    assert code(steps, f"{proof}-create") is ResponseCode.SUCCESS
    assert seen(steps, f"{proof}-create")["handle"] == handle
    assert code(steps, f"{proof}-create-again") is ResponseCode.HANDLE_EXISTS
    created = seen(steps, f"{proof}-resolve-created")["values"]
    assert created["1"] == f"URL https://pumps.example/{proof}"
    assert created["2"] == "DESC 泵 Pump"
    assert code(steps, f"{proof}-add") is ResponseCode.SUCCESS
    assert code(steps, f"{proof}-add-again") is ResponseCode.VALUE_EXISTS
    assert code(steps, f"{proof}-modify") is ResponseCode.SUCCESS
    assert code(steps, f"{proof}-modify-absent") is ResponseCode.VALUES_NOT_FOUND
    assert code(steps, f"{proof}-remove") is ResponseCode.SUCCESS
    changed = seen(steps, f"{proof}-resolve-changed")["values"]
    assert changed.keys() == {"1", "3", "100"}
    assert changed["1"] == "URL https://pumps.example/changed"
    assert code(steps, f"{proof}-delete") is ResponseCode.SUCCESS
    assert code(steps, f"{proof}-delete-again") is ResponseCode.HANDLE_NOT_FOUND
    assert code(steps, f"{proof}-resolve-deleted") is ResponseCode.HANDLE_NOT_FOUND
    history = realm.node.get(f"/api/v1/identifiers/{handle}/history").json["items"]
    assert len(history) == 4, "what was done over the wire stands in the history"


def test_wrong_keys_open_nothing(steps: Steps, realm: Realm) -> None:
    for step in ("create-wrong-key", "create-wrong-secret", "delete-wrong-key", "list-wrong-key"):
        assert code(steps, step) is ResponseCode.AUTHENTICATION_FAILED, step
    assert steps["create-nobody"]["client_code"] == UNABLE_TO_AUTHENTICATE
    assert code(steps, "create-foreign") is ResponseCode.SERVER_NOT_RESPONSIBLE
    assert code(steps, "create-bad-value") is ResponseCode.INVALID_VALUE
    assert realm.node.get(f"/api/handles/{realm.prefix}/REFUSED").status == 404
    assert realm.node.get(f"/api/handles/{realm.prefix}/HTTP-1").status == 200


def test_client_lists_the_identifiers_of_a_prefix(steps: Steps, realm: Realm) -> None:
    listed = seen(steps, "list")
    assert listed["code"] == ResponseCode.SUCCESS
    expected = {f"{realm.prefix}/HTTP-{number}" for number in range(1, IDENTIFIERS)}
    assert set(listed["names"]) == expected | {f"{realm.prefix}/HTTP-LONG"}
    assert len(listed["names"]) == len(set(listed["names"])), "no name twice"
    assert listed["messages"] == 3, "50 names in a message"


@pytest.mark.parametrize("encrypted", ["", "-encrypted"])
@pytest.mark.parametrize(
    "session", ["session", "session-client-key", "session-site-key", "session-handle-key"]
)
def test_client_works_in_a_session(steps: Steps, session: str, encrypted: str) -> None:
    session += encrypted
    for step in ("create", "add", "resolve", "delete"):
        answer = seen(steps, f"{session}-{step}")
        assert (answer["code"], answer["sessions"]) == (1, 1), step
    assert seen(steps, f"{session}-resolve")["values"]["2"] == "DESC in a session"
    assert code(steps, f"{session}-end") is ResponseCode.SUCCESS


def test_without_a_name_that_java_knows_the_client_cannot_use_rsa_keys(steps: Steps) -> None:
    alone = steps["session-client-key-alone"]
    assert "RSA/EBC/PKCS1" in alone.get("error", ""), f"then the table can say so: {alone}"


def test_client_writes_no_session_into_the_key_that_it_sends_to_a_site(steps: Steps) -> None:
    alone = steps["session-site-key-alone"]
    assert "session timeout" in alone.get("error", ""), f"then the table can say so: {alone}"


def test_client_that_goes_by_an_old_site_is_told_where_that_may_be_the_reason(
    steps: Steps,
) -> None:
    assert code(steps, "old-site-foreign") is ResponseCode.SITE_INFO_OUT_OF_DATE
    for step in ("resolve", "create", "delete"):
        assert code(steps, f"old-site-{step}") is ResponseCode.SUCCESS, "what can be done is done"


def test_administrator_of_the_node_homes_prefixes(steps: Steps, realm: Realm) -> None:
    homed = f"0.NA/{WAITING_PREFIX}"
    assert f"0.NA/{realm.prefix}" in seen(steps, "list-prefixes")["names"]
    assert homed not in seen(steps, "list-prefixes")["names"]
    for step in ("list-prefixes-not-admin", "home-not-admin", "unhome-not-admin"):
        assert code(steps, step) is ResponseCode.INVALID_ADMIN, step
    assert code(steps, "home-unknown") is ResponseCode.OPERATION_DENIED
    assert code(steps, "home") is ResponseCode.SUCCESS
    assert homed in seen(steps, "list-prefixes-homed")["names"]
    assert code(steps, "unhome") is ResponseCode.SUCCESS
    assert homed not in seen(steps, "list-prefixes-unhomed")["names"]
    assert realm.node.get(f"/api/v1/prefixes/{WAITING_PREFIX}").json["status"] == "suspended"


async def test_what_the_client_did_is_audited_under_its_identity(
    steps: Steps, realm: Realm, own_database_url: str
) -> None:
    database = await asyncpg.connect(own_database_url)
    lines = await database.fetch("SELECT DISTINCT actor, action FROM audit_log")
    await database.close()
    done = {(line["actor"], line["action"]) for line in lines}
    for index in (300, 301):
        actor = f"handle:{index}:0.NA/{realm.prefix}"
        assert {action for who, action in done if who == actor} >= AUDITED, done
    assert any(who == f"handle:{realm.admin}" for who, _ in done), done
