"""Who may: passwords, signatures, sessions and certificates of the Handle JSON API."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from registry import http_sessions
from registry.housekeeping import clean_up
from registry.metrics import slot
from resolver.handle.guesses import SOURCE_LIMIT, WINDOW_SECONDS
from tests.integration import rest_support
from tests.integration.rest_support import (
    KEY_ID,
    OTHER,
    OTHER_ID,
    PREFIX,
    SECRET,
    SECRET_ID,
    Answer,
    Front,
    basic,
    client_certificate,
    value,
)

NAME = f"/api/handles/{PREFIX}/SN-1"
HIDDEN = value(9, "inside", "NOTE", permissions="1100")
CERTIFIED = 'Handle clientCert="true"'


@pytest.fixture
async def front(database_url: str, tmp_path: Path) -> AsyncIterator[Front]:
    async with rest_support.running(database_url, tmp_path) as front:
        yield front


def offered(answer: Answer) -> tuple[str, bytes]:
    """The session id and the nonce that a 401 offers."""
    offers = answer.headers.getall("WWW-Authenticate")
    assert offers[0] == 'Basic realm="handle"'
    found = re.fullmatch(r'Handle sessionId="([^"]+)", nonce="([^"]+)"', offers[1])
    assert found is not None, offers
    return found[1], base64.b64decode(found[2])


def b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def header(**parameters: str) -> str:
    return "Handle " + ", ".join(f'{name}="{text}"' for name, text in parameters.items())


def signed(session_id: str, nonce: bytes, key: rsa.RSAPrivateKey, identity: str = KEY_ID) -> str:
    cnonce = os.urandom(16)
    signature = key.sign(nonce + cnonce, padding.PKCS1v15(), hashes.SHA256())
    return header(
        sessionId=session_id,
        id=identity,
        type="HS_PUBKEY",
        cnonce=b64(cnonce),
        alg="SHA256",
        signature=b64(signature),
    )


def with_secret(
    session_id: str, nonce: bytes, alg: str, secret: bytes = SECRET.encode(), **more: str
) -> str:
    cnonce = os.urandom(16)
    data = nonce + cnonce
    if alg.startswith("PBKDF2"):
        salt = os.urandom(16)
        password = secret.decode("latin-1").encode()
        derived = hashlib.pbkdf2_hmac("sha1", password, salt, 10_000, 20)
        made = hmac.digest(derived, data, "sha1")
        more = {"salt": b64(salt), "iterations": "10000", "length": "160"} | more
    elif alg.startswith("HMAC"):
        made = hmac.digest(secret, data, alg.partition("-")[2].replace("-", "").lower())
    else:
        made = hashlib.new(alg.replace("-", "").lower(), secret + data + secret).digest()
    return header(
        sessionId=session_id,
        id=SECRET_ID,
        type="HS_SECKEY",
        cnonce=b64(cnonce),
        alg=alg,
        signature=b64(made),
        **more,
    )


async def put(front: Front, auth: str | None, **more: Any) -> Answer:
    return await front.ask("PUT", NAME, [value(1, "one"), HIDDEN], auth, **more)


async def written(front: Front) -> bool:
    return bool(
        await front.sql.fetchval("SELECT count(*) FROM identifiers WHERE prefix = $1", PREFIX)
    )


async def test_who_says_nothing_is_asked_in_both_ways(front: Front) -> None:
    for method, body in (("PUT", value(1, "x")), ("DELETE", None)):
        refused = await front.ask(method, NAME, body)
        assert (refused.status, refused.code) == (401, 402)
        assert len(offered(refused)[1]) == 16
        assert refused.json["handle"] == f"{PREFIX}/SN-1"


@pytest.mark.parametrize(
    "auth",
    [
        basic(secret="wrong"),
        basic(secret=""),
        basic(identity=f"300:0.NA/{PREFIX}"),
        basic(identity=f"999:0.NA/{PREFIX}"),
        basic(identity="301:0.NA/10.1000"),
        basic(identity="301:"),
        "Basic !!!",
        "Basic bm9jb2xvbg==",
        "Bearer something",
        "Handle nonsense",
        header(sessionId="unknown", id=KEY_ID, type="HS_PUBKEY", signature="AA=="),
        CERTIFIED,
    ],
)
async def test_what_proves_nothing_is_401_without_a_body(front: Front, auth: str) -> None:
    refused = await put(front, auth)
    assert (refused.status, refused.body) == (401, b"")
    offered(refused)
    assert not await written(front)


async def test_an_empty_secret_opens_nothing(front: Front) -> None:
    await front.sql.execute(
        """UPDATE identifiers SET values = jsonb_build_array(values -> 0, values -> 1,
               jsonb_set(values -> 3, '{data,value}', '""')) WHERE suffix_key = $1""",
        PREFIX,
    )
    assert (await put(front, basic(secret=""))).status == 401


async def test_passwords_are_not_guessed(front: Front) -> None:
    for number in range(SOURCE_LIMIT):
        assert (await put(front, basic(secret=f"guess {number}"))).status == 401
    for auth in (basic(secret="another guess"), basic()):
        refused = await put(front, auth)
        assert refused.status == 429
        assert 0 < int(refused.headers["Retry-After"]) <= WINDOW_SECONDS
        assert "WWW-Authenticate" not in refused.headers
    session_id, nonce = offered(await put(front, None))
    signature = with_secret(session_id, nonce, "HMAC-SHA256")
    assert (await put(front, signature)).status == 429, "nor by another way to say a secret"
    session_id, nonce = offered(await put(front, None))
    assert (await put(front, signed(session_id, nonce, front.key))).status == 201, (
        "a private key is no guess"
    )
    assert front.service.registry.row.cells[slot("idnode_secrets_refused", "limit")] == 3


async def test_a_password_may_be_sent_as_it_is(front: Front) -> None:
    pair = f"301%3A0.NA/{PREFIX}:{SECRET}".encode()
    assert (await put(front, "Basic " + b64(pair))).status == 201


async def test_over_plain_http_credentials_are_not_looked_at(front: Front) -> None:
    for auth in (None, basic()):
        refused = await put(front, auth, base=front.http)
        assert (refused.status, refused.code) == (403, 402)
        assert "WWW-Authenticate" not in refused.headers
    assert not await written(front)
    for method in ("GET", "PUT", "DELETE"):
        assert (await front.ask(method, "/api/sessions/this", base=front.http)).status == 403
    assert (await front.ask("POST", "/api/sessions", base=front.http)).status == 403
    await put(front, basic())
    read = await front.ask("GET", NAME, auth=basic(), base=front.http)
    assert [one["index"] for one in read.json["values"]] == [1]


async def test_a_setting_allows_plain_http_from_this_machine(
    database_url: str, tmp_path: Path
) -> None:
    async with rest_support.running(database_url, tmp_path, plain=True) as front:
        assert (await put(front, None, base=front.http)).status == 401
        assert (await put(front, basic(), base=front.http)).status == 201


async def test_a_signature_of_the_nonce_opens_and_the_session_stays_open(front: Front) -> None:
    session_id, nonce = offered(await put(front, None))
    assert (await put(front, signed(session_id, nonce, front.key))).status == 201
    later = await put(front, header(sessionId=session_id))
    assert later.status == 200
    closed = await front.ask("DELETE", "/api/sessions/this", auth=header(sessionId=session_id))
    assert closed.status == 204
    assert (await put(front, header(sessionId=session_id))).status == 401


async def test_a_session_ends_with_the_key_that_has_opened_it(front: Front) -> None:
    session_id, nonce = offered(await put(front, None))
    assert (await put(front, with_secret(session_id, nonce, "HMAC-SHA256"))).status == 201
    assert (await put(front, header(sessionId=session_id))).status == 200
    await front.sql.execute(
        """UPDATE identifiers SET values = jsonb_set(values, '{3,data,value}', '"new"')
           WHERE suffix_key = $1""",
        PREFIX,
    )
    assert (await put(front, header(sessionId=session_id))).status == 401


async def test_a_session_that_nobody_has_signed_opens_nothing(front: Front) -> None:
    session_id, _ = offered(await put(front, None))
    assert (await put(front, header(sessionId=session_id))).status == 401


@pytest.mark.parametrize(
    "alg", ["SHA1", "SHA256", "SHA-256", "HMAC-SHA1", "HMAC-SHA256", "PBKDF2-HMAC-SHA1"]
)
async def test_a_secret_signs_in_every_way_of_the_reference(front: Front, alg: str) -> None:
    session_id, nonce = offered(await put(front, None))
    assert (await put(front, with_secret(session_id, nonce, alg, b"wrong"))).status == 401
    assert not await written(front)
    assert (await put(front, with_secret(session_id, nonce, alg))).status == 201


async def test_a_signature_is_good_for_its_nonce_key_and_identity_alone(front: Front) -> None:
    session_id, nonce = offered(await put(front, None))
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    good = signed(session_id, nonce, front.key)
    work = with_secret(session_id, nonce, "PBKDF2-HMAC-SHA1", iterations="99999999")
    for bad in (
        signed(session_id, nonce[::-1], front.key),
        signed(session_id, nonce, stranger),
        signed(session_id, nonce, front.key, SECRET_ID),
        good.replace("HS_PUBKEY", "HS_SECKEY"),
        good.replace("HS_PUBKEY", "URL"),
        good.replace("SHA256", "MD5"),
        re.sub('cnonce="[^"]+"', 'cnonce=""', good),
        re.sub('signature="[^"]+"', 'signature="*"', good),
        re.sub(r'id="30[^"]+", ', "", good),
        work,
    ):
        assert (await put(front, bad)).status == 401, bad
    assert not await written(front)
    assert (await put(front, good)).status == 201


async def test_sessions_are_a_resource(front: Front) -> None:
    made = await front.ask("POST", "/api/sessions")
    assert made.status == 201
    session_id, nonce = made.json["sessionId"], base64.b64decode(made.json["nonce"])
    mine = header(sessionId=session_id)
    seen = await front.ask("GET", "/api/sessions/this", auth=mine)
    assert seen.json == made.json | {"authenticated": False}
    proof = signed(session_id, nonce, front.key)
    proved = await front.ask("PUT", "/api/sessions/this", auth=proof)
    assert (proved.status, proved.json["id"]) == (200, KEY_ID)
    seen = await front.ask("GET", f"/api/sessions/{session_id}", auth=mine)
    assert seen.json == made.json | {"authenticated": True, "id": KEY_ID}
    assert (await front.ask("DELETE", f"/api/sessions/{session_id}")).status == 204
    assert (await front.ask("GET", "/api/sessions/this", auth=mine)).status == 401


async def test_a_session_is_proved_by_a_body_too(front: Front) -> None:
    made = (await front.ask("POST", "/api/sessions")).json
    text = signed(made["sessionId"], base64.b64decode(made["nonce"]), front.key)
    body = dict(re.findall(r'(\w+)="([^"]*)"', text))
    assert (await front.ask("PUT", "/api/sessions/this", body)).status == 200
    wrong = body | {"signature": b64(b"x" * 256)}
    assert (await front.ask("PUT", "/api/sessions/this", wrong)).status == 401


async def test_sessions_end_and_are_cleaned_up(front: Front) -> None:
    session_id, nonce = offered(await put(front, None))
    await put(front, signed(session_id, nonce, front.key))
    await front.ask("POST", "/api/sessions")
    await front.sql.execute("UPDATE handle_http_sessions SET expires_at = now() - interval '1s'")
    assert (await put(front, header(sessionId=session_id))).status == 401  # begins another one
    deleted = await clean_up(front.service.registry.database)
    assert deleted["handle_http_sessions"] == 2
    assert await front.sql.fetchval("SELECT count(*) FROM handle_http_sessions") == 1


async def test_a_flood_of_sessions_pushes_out_its_like_alone(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_sessions, "MAX_CHALLENGES_PER_ADDRESS", 5)
    monkeypatch.setattr(http_sessions, "MAX_SESSIONS_PER_IDENTITY", 3)
    mine, nonce = offered(await put(front, None))
    assert (await put(front, signed(mine, nonce, front.key))).status == 201
    for _ in range(20):
        newest, newest_nonce = offered(await put(front, None))
    assert await front.sql.fetchval("SELECT count(*) FROM handle_http_sessions") == 6
    assert (await put(front, header(sessionId=mine))).status == 200
    assert (await put(front, signed(newest, newest_nonce, front.key))).status == 200
    for _ in range(5):
        session_id, nonce = offered(await put(front, None))
        assert (await put(front, signed(session_id, nonce, front.key))).status == 200
    proved = "SELECT count(*) FROM handle_http_sessions WHERE identity_index IS NOT NULL"
    assert await front.sql.fetchval(proved) == 3


async def test_the_database_does_not_hold_what_opens_a_session(front: Front) -> None:
    session_id, nonce = offered(await put(front, None))
    await put(front, signed(session_id, nonce, front.key))
    row = await front.sql.fetchrow("SELECT * FROM handle_http_sessions")
    assert session_id not in repr(row)


async def test_a_certificate_with_the_key_of_its_identity_opens(
    front: Front, tmp_path: Path
) -> None:
    client = client_certificate(tmp_path / "client.pem")
    assert (await put(front, None, client=client)).status == 401, "only where it is said"
    assert (await put(front, CERTIFIED, client=client)).status == 201
    named = client_certificate(tmp_path / "named.pem", uid=None, name=KEY_ID)
    assert (await put(front, CERTIFIED, client=named)).status == 200


async def test_a_certificate_opens_nothing_else(front: Front, tmp_path: Path) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for number, more in enumerate(
        (
            {"key": stranger},
            {"uid": SECRET_ID},
            {"uid": "300:0.NA/10.1000"},
            {"uid": None},
            {"days": -1},
        )
    ):
        client = client_certificate(tmp_path / f"{number}.pem", **more)  # type: ignore[arg-type]
        assert (await put(front, CERTIFIED, client=client)).status == 401, more
    assert not await written(front)


async def test_what_is_not_public_is_for_administrators_and_in_no_cache(front: Front) -> None:
    await put(front, basic())
    for auth, wanted in ((None, [1]), (basic(), [1, 9]), (basic(OTHER_ID), [1]), (None, [1])):
        read = await front.ask("GET", NAME, auth=auth)
        assert [one["index"] for one in read.json["values"]] == wanted
        assert read.headers.get("Cache-Control") == (auth and "no-store")
    assert (await front.ask("GET", NAME, auth=basic(secret="wrong"))).status == 401
    public = await front.ask("GET", f"{NAME}?publicOnly", auth=basic())
    assert [one["index"] for one in public.json["values"]] == [1]
    one = await front.ask("GET", f"{NAME}?index=9", auth=basic())
    assert [one["index"] for one in one.json["values"]] == [9]
    assert (await front.ask("GET", f"{NAME}?index=9")).code == 200


async def test_a_script_shows_public_values_alone(front: Front) -> None:
    await put(front, basic())
    for method, path, body in (
        ("GET", f"{NAME}?callback=show", None),
        ("GET", f"{NAME}?callback=show&auth=true", None),
        ("POST", NAME, {"callback": "show"}),
    ):
        script = await front.ask(method, path, body, basic())
        assert script.headers["Content-Type"].startswith("application/javascript")
        shown = json.loads(script.body.removeprefix(b"/**/show(").removesuffix(b");"))
        assert [one["index"] for one in shown["values"]] == [1], path


async def test_a_post_reads_as_a_get_does(front: Front) -> None:
    await put(front, basic())
    read = await front.ask("POST", NAME, {"index": [1], "type": "NOTE"}, basic())
    assert [one["index"] for one in read.json["values"]] == [1, 9]
    plain = await front.ask("POST", NAME)
    assert plain.body == (await front.ask("GET", NAME)).body
    refused = await front.ask("POST", NAME, {"index": {}})
    assert (refused.status, refused.code) == (400, 4)


async def test_an_identity_of_a_closed_prefix_proves_nothing(front: Front) -> None:
    await front.sql.execute("UPDATE prefixes SET status = 'suspended' WHERE prefix = $1", PREFIX)
    elsewhere = f"/api/handles/{OTHER}/SN-1"
    assert (await front.ask("PUT", elsewhere, [value(1, "one")], basic())).status == 401
    assert (await put(front, basic())).code == 301, "under the prefix itself nothing is asked"
