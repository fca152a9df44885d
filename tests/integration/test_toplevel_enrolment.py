"""How a node gets its first certificate: a token that works once, and trust in both directions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.errors import InvalidValue
from registry.database import Database
from resolver.federation.certificates import (
    key_pem,
    make_key,
    make_request,
    open_authority,
)
from resolver.federation.credentials import (
    EnrolmentFailed,
    enrol,
)
from resolver.federation.toplevel.gate import server_context
from resolver.federation.toplevel.schema import invitations
from resolver.private_files import write_private
from tests.integration.trust_support import HERE, LIFE, TOKEN, Stub, authority_pem, running


@pytest.fixture
async def stub(database: Database, tmp_path: Path) -> AsyncIterator[Stub]:
    async with running(database, tmp_path) as stub:
        yield stub


async def test_token_works_once(stub: Stub) -> None:
    token = await stub.invite()
    first, second = stub.credentials("first"), stub.credentials("second")
    await enrol(stub.url, token, "88.118", first)
    with pytest.raises(EnrolmentFailed, match="401"):
        await enrol(stub.url, token, "88.118", second)
    assert not second.there
    async with stub.database.begin() as connection:
        kept = (await connection.execute(sa.select(invitations))).all()
    assert token.partition(".")[0] not in repr(kept), "the token itself is kept"


async def test_enrolment_whose_answer_was_lost_can_be_done_again(stub: Stub) -> None:
    token, node = await stub.invite(), stub.credentials("node")
    authority = authority_pem(stub.authority)
    await enrol(stub.url, token, "88.118", node)
    key = node.own.read_bytes()
    # As if the node had died before it could keep the answer: the key is there, no certificate.
    private = serialization.load_pem_private_key(key, password=None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    write_private(node.new_key, key_pem(private))
    node.own.unlink()
    await enrol(stub.url, token, "88.118", node)
    assert node.there
    assert not node.new_key.exists()
    assert node.authority.read_bytes() == authority


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: "x" * 43 + token[43:],
        lambda token: token[:-1],
        lambda token: token[:-64] + "0" * 64,
        lambda token: "",
        lambda token: token.replace(".", ""),
    ],
)
async def test_wrong_token_gets_nothing(stub: Stub, spoil: Any) -> None:
    node = stub.credentials("node")
    with pytest.raises((EnrolmentFailed, InvalidValue)):
        await enrol(stub.url, spoil(await stub.invite()), "88.118", node)
    assert not node.there


async def test_token_for_another_node_or_too_late_gets_nothing(stub: Stub) -> None:
    node = stub.credentials("node")
    with pytest.raises(EnrolmentFailed, match="401"):
        await enrol(stub.url, await stub.invite("88.119"), "88.118", node)
    late = await stub.invite()
    async with stub.database.begin() as connection:
        await connection.execute(
            invitations.update().values(expires_at=sa.func.now() - sa.text("interval '1 second'"))
        )
    with pytest.raises(EnrolmentFailed, match="401"):
        await enrol(stub.url, late, "88.118", node)
    assert not node.there


async def test_invitation_that_was_taken_back_gets_nothing(stub: Stub) -> None:
    token = await stub.invite()
    await stub.operator("/revocations", node="88.118")
    with pytest.raises(EnrolmentFailed, match="401"):
        await enrol(stub.url, token, "88.118", stub.credentials("node"))


async def test_secret_is_not_told_to_a_server_that_the_token_does_not_name(
    stub: Stub, tmp_path: Path
) -> None:
    asked: list[str] = []
    impostor = open_authority(tmp_path / "impostor.pem", prefix="88", life=LIFE)

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=authority_pem(impostor))

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    tls = server_context(impostor, tmp_path / "impostor-tls.pem", [HERE])
    await web.TCPSite(runner, HERE, 0, ssl_context=tls).start()
    url = f"https://{HERE}:{runner.addresses[0][1]}"
    with pytest.raises(EnrolmentFailed, match="not the top-level node"):
        await enrol(url, await stub.invite(), "88.118", stub.credentials("node"))
    assert asked == ["/ca"]
    await runner.cleanup()


@pytest.mark.parametrize(
    ("request_pem", "rule"),
    [
        ("nonsense", "PEM"),
        ("x" * 9000, "longer"),
        (make_request(make_key(), "88.118").decode()[:-60], "PEM"),
    ],
)
async def test_request_that_is_none_is_told(stub: Stub, request_pem: str, rule: str) -> None:
    secret = (await stub.invite()).partition(".")[0]
    body = {"token": secret, "node": "88.118", "request": request_pem}
    status, answer = await stub.post(body, stub.stranger(), "/enrolments")
    assert (status, answer["field"]) == (422, "request"), answer
    assert rule in answer["detail"]


async def test_nobody_is_enrolled_without_tls(stub: Stub) -> None:
    secret = (await stub.invite()).partition(".")[0]
    request = make_request(make_key(), "88.118").decode()
    body = {"token": secret, "node": "88.118", "request": request}
    assert (await stub.post(body, None, "/enrolments"))[0] == 403


@pytest.mark.parametrize("node", ["89.1", "88", "88.x", ""])
async def test_only_nodes_under_the_own_prefix_are_invited(stub: Stub, node: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{stub.plain_url}/invitations", json={"node": node}, headers=headers
        ) as response,
    ):
        assert response.status in (400, 422)
