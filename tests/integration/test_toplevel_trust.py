"""Node and top-level node know each other by certificates, over real TLS."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
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
from resolver.federation import credentials as holding
from resolver.federation.certificates import (
    Authority,
    common_name,
    fingerprint,
    key_pem,
    make_key,
    make_request,
    open_authority,
    pem,
    serial_of,
)
from resolver.federation.credentials import (
    Credentials,
    EnrolmentFailed,
    enrol,
    keep_certificate,
    renew,
    renewal_due,
)
from resolver.federation.toplevel.app import make_toplevel_app
from resolver.federation.toplevel.faults import Fault, Faults
from resolver.federation.toplevel.gate import server_context
from resolver.federation.toplevel.schema import certificates, invitations, prepare
from resolver.private_files import write_private
from tests.integration.toplevel_support import node_message, prefix_message
from tests.integration.uplink_support import all_delivered, eventually, put, until, uplink

TOKEN = "operator-of-the-stub"
HERE = "127.0.0.1"
LIFE = datetime.timedelta(days=90)


@dataclass
class Stub:
    """A stub that listens with and without TLS."""

    database: Database
    authority: Authority
    faults: Faults
    plain_url: str
    url: str
    directory: Path
    now: list[datetime.datetime] = field(default_factory=list)

    async def operator(self, path: str, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.plain_url + path, json=body, headers=headers) as response,
        ):
            answer = await response.json()
            assert response.ok, answer
            return answer

    async def invite(self, node: str = "88.118", **more: Any) -> str:
        token: str = (await self.operator("/invitations", node=node, **more))["token"]
        return token

    async def enrol(self, node: str = "88.118") -> Credentials:
        credentials = self.credentials(node)
        await enrol(self.url, await self.invite(node), node, credentials)
        return credentials

    def credentials(self, name: str) -> Credentials:
        return Credentials(self.directory / name)

    async def post(
        self, body: Any, tls: ssl.SSLContext | None, path: str = "/filings"
    ) -> tuple[int, Any]:
        url = (self.plain_url if tls is None else self.url) + path
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json=body, ssl=tls or True) as response,
        ):
            return response.status, await response.json(content_type=None)

    def stranger(self) -> ssl.SSLContext:
        """A client that trusts the stub and has no certificate."""
        path = self.directory / "authority-alone.pem"
        path.write_bytes(_pem(self.authority))
        return ssl.create_default_context(cafile=path)


def _pem(authority: Authority) -> bytes:
    return pem(authority.certificate)


@contextlib.asynccontextmanager
async def running(
    database: Database, directory: Path, *, plain: bool = False, life: datetime.timedelta = LIFE
) -> AsyncIterator[Stub]:
    await prepare(database)
    authority = open_authority(directory / "ca.pem", prefix="88", life=life)
    faults = Faults()
    app = make_toplevel_app(
        database, token=None, authority=authority, plain=plain, operator=TOKEN, faults=faults
    )
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, HERE, 0).start()
    context = server_context(authority, directory / "tls.pem", [HERE])
    await web.TCPSite(runner, HERE, 0, ssl_context=context).start()
    http, https = (address[1] for address in runner.addresses)
    yield Stub(
        database,
        authority,
        faults,
        f"http://{HERE}:{http}",
        f"https://{HERE}:{https}",
        directory,
    )
    await runner.cleanup()


@pytest.fixture
async def stub(database: Database, tmp_path: Path) -> AsyncIterator[Stub]:
    async with running(database, tmp_path) as stub:
        yield stub


async def test_node_with_its_certificate_files(stub: Stub) -> None:
    node = await stub.enrol()
    assert await stub.post(node_message(), node.context()) == (200, AnyReceipt(duplicate=False))
    assert common_name(node.certificate()) == "88.118"


class AnyReceipt:
    def __init__(self, *, duplicate: bool) -> None:
        self.duplicate = duplicate

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and other.get("duplicate") is self.duplicate

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("path", ["/filings", "/heartbeats", "/certificates"])
async def test_who_shows_no_certificate_does_nothing(stub: Stub, path: str) -> None:
    for tls in (None, stub.stranger()):
        status, answer = await stub.post(prefix_message(), tls, path)
        assert status == 401, answer


async def test_certificate_of_one_node_is_not_good_for_another(stub: Stub) -> None:
    other = await stub.enrol("88.119")
    for body in (prefix_message(), node_message()):
        status, answer = await stub.post(body, other.context())
        assert (status, answer["field"]) == (403, "node"), answer
    beat = {"node": "88.118", "version": "1", "outbox_depth": 0, "prefixes": 0, "identifiers": 0}
    assert (await stub.post(beat, other.context(), "/heartbeats"))[0] == 403


async def test_certificate_of_another_authority_is_refused(stub: Stub, tmp_path: Path) -> None:
    forger = open_authority(tmp_path / "forger.pem", prefix="88", life=LIFE)
    key = make_key()
    forged = Credentials(tmp_path / "forged")
    write_private(forged.own, key_pem(key) + pem(forger.for_node(key.public_key(), "88.118")))
    write_private(forged.authority, _pem(stub.authority))
    with pytest.raises(aiohttp.ClientError):
        await stub.post(prefix_message(), forged.context())


async def test_certificate_that_the_stub_does_not_know_of_is_refused(
    stub: Stub, tmp_path: Path
) -> None:
    node = await stub.enrol()
    async with stub.database.begin() as connection:
        await connection.execute(certificates.delete())
    status, answer = await stub.post(prefix_message(), node.context())
    assert status == 401, answer


async def test_revoked_certificate_is_refused_at_once_even_on_an_open_connection(
    stub: Stub,
) -> None:
    node = await stub.enrol()
    connector = aiohttp.TCPConnector(ssl=node.context())
    async with aiohttp.ClientSession(connector=connector) as session:
        async with session.post(f"{stub.url}/filings", json=prefix_message()) as response:
            assert response.status == 200
        assert await stub.operator("/revocations", node="88.118") == {
            "node": "88.118",
            "certificates": 1,
        }
        async with session.post(f"{stub.url}/filings", json=prefix_message()) as response:
            assert response.status == 401, "a revoked certificate is still good"
            assert response.headers["Connection"] == "close"
    with pytest.raises(EnrolmentFailed, match="revoked"):
        await renew(stub.url, node, node.context())
    again = await stub.enrol()
    assert (await stub.post(prefix_message(), again.context()))[0] == 200


async def test_one_certificate_of_a_node_can_be_revoked_alone(stub: Stub) -> None:
    node = await stub.enrol()
    old, context = serial_of(node.certificate()), node.context()
    await renew(stub.url, node, context)
    answer = await stub.operator("/revocations", node="88.118", serial=old)
    assert answer["certificates"] == 1
    assert (await stub.post(prefix_message(), node.context()))[0] == 200


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
    authority = _pem(stub.authority)
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
        return web.Response(body=_pem(impostor))

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


@pytest.mark.parametrize("path", ["/invitations", "/revocations"])
async def test_only_the_operator_says_who_is_trusted(stub: Stub, path: str) -> None:
    node = await stub.enrol()
    for tls in (None, stub.stranger(), node.context()):
        assert (await stub.post({"node": "88.119"}, tls, path))[0] == 401


async def test_plain_http_is_for_those_who_allow_it(database: Database, tmp_path: Path) -> None:
    async with running(database, tmp_path, plain=True) as stub:
        assert (await stub.post(prefix_message(), None))[0] == 200


async def test_renewed_certificate_is_used_and_the_old_one_holds_still(stub: Stub) -> None:
    node = await stub.enrol()
    context, old = node.context(), node.context()
    before = serial_of(node.certificate())
    await renew(stub.url, node, context)
    assert serial_of(node.certificate()) != before
    for tls in (context, old, node.context()):
        assert (await stub.post(prefix_message(), tls))[0] == 200
    mode = stat.S_IMODE(node.own.stat().st_mode)
    assert mode == 0o600, f"the key can be read by others: {mode:o}"
    assert stat.S_IMODE((stub.directory / "ca.pem").stat().st_mode) == 0o600


async def test_node_renews_by_itself_when_it_is_time_and_tries_again(
    database: Database, tmp_path: Path
) -> None:
    async with running(database, tmp_path, life=datetime.timedelta(seconds=60)) as stub:
        node = await stub.enrol()
        first = node.certificate()
        stub.faults.set(Fault(fault="refuses", at="certificates", count=1))
        clock = [renewal_due(first) - datetime.timedelta(seconds=1)]
        stop = asyncio.Event()
        keeping = asyncio.create_task(
            keep_certificate(stub.url, node, node.context(), stop, now=lambda: clock[0])
        )
        await asyncio.sleep(0)
        assert node.certificate() == first
        clock[0] = first.not_valid_after_utc - datetime.timedelta(seconds=5)

        async def renewed() -> bool:
            return node.certificate() != first

        await eventually("a certificate that is about to expire is renewed", renewed)
        stop.set()
        async with asyncio.timeout(10):
            await keeping


async def test_node_that_was_enrolled_anew_goes_on_without_a_start(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "_LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(holding, "_SHORTEST_PAUSE", 0.05)
    node = await stub.enrol()
    context, stop = node.context(), asyncio.Event()
    keeping = asyncio.create_task(keep_certificate(stub.url, node, context, stop))
    await asyncio.sleep(0)
    await stub.operator("/revocations", node="88.118")
    assert (await stub.post(prefix_message(), context))[0] == 401
    await stub.enrol()

    async def taken() -> bool:
        return (await stub.post(prefix_message(), context))[0] == 200

    await eventually("the new certificate is shown", taken)
    stop.set()
    async with asyncio.timeout(10):
        await keeping


async def test_expired_certificate_is_refused(stub: Stub) -> None:
    node = await stub.enrol()
    async with stub.database.begin() as connection:
        await connection.execute(certificates.update().values(expires_at=sa.func.now()))
    assert (await stub.post(prefix_message(), node.context()))[0] == 401


async def test_uplink_goes_over_tls(stub: Stub) -> None:
    node = await stub.enrol()
    await put(stub.database, "88.118.1")
    async with uplink(stub.database, stub.url, tls=node.context()):
        await until(stub.database, "the message is delivered over TLS", all_delivered)


async def test_authority_stays_the_same(stub: Stub) -> None:
    again = open_authority(stub.directory / "ca.pem", prefix="88", life=LIFE)
    assert fingerprint(again.certificate) == fingerprint(stub.authority.certificate)
