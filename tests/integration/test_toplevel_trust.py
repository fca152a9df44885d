"""Node and top-level node know each other by certificates, over real TLS."""

from __future__ import annotations

import asyncio
import datetime
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import sqlalchemy as sa

from registry.database import Database
from resolver.federation import credentials as holding
from resolver.federation.certificates import (
    common_name,
    fingerprint,
    key_pem,
    make_key,
    open_authority,
    pem,
    serial_of,
)
from resolver.federation.credentials import (
    Credentials,
    EnrolmentFailed,
    keep_certificate,
    renew,
    renewal_due,
)
from resolver.federation.toplevel.faults import Fault
from resolver.federation.toplevel.schema import certificates
from resolver.private_files import write_private
from tests.integration.toplevel_support import node_message, prefix_message
from tests.integration.trust_support import LIFE, Stub, authority_pem, running
from tests.integration.uplink_support import all_delivered, eventually, put, until, uplink


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
    write_private(forged.authority, authority_pem(stub.authority))
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
