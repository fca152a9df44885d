"""TLS on the HTTP port: versions, certificates, and the short way over decrypted bytes."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509

from registry.metrics import slot
from resolver.transports.tls import TlsContext, ensure_self_signed
from tests.integration import rest_support
from tests.integration.rest_support import PREFIX, Front, basic, client_certificate, value

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
NAME = f"/api/handles/{PREFIX}/SN-1"


@pytest.fixture
async def front(database_url: str, tmp_path: Path) -> AsyncIterator[Front]:
    async with rest_support.running(database_url, tmp_path) as front:
        yield front


def context(front: Front, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(front.certificate))
    if version is not None:
        made.minimum_version = made.maximum_version = version
    return made


async def connect(
    front: Front, made: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(
        "127.0.0.1", front.server.https_port, ssl=made, server_hostname="localhost"
    )


async def answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Read one response: its head without the date, and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Date:")]
    length = next(int(line[15:]) for line in lines if line.startswith(b"Content-Length:"))
    return b"\n".join(lines), await reader.readexactly(length)


def request(path: str = NAME, *more: str) -> bytes:
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: localhost", *more, "", "")).encode()


def hits(front: Front) -> float:
    front.server._publish()
    return front.service.resolver.row.cells[slot("idnode_cache_requests", "hit")]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("certified", [False, True])
async def test_the_short_way_is_right_over_tls(
    front: Front, tmp_path: Path, version: ssl.TLSVersion, certified: bool
) -> None:
    texts = [value(index, "泵" * 5000, "DESC") for index in range(1, 4)]
    await front.ask("PUT", NAME, texts, basic())
    made = context(front, version)
    if certified:
        made.load_cert_chain(str(client_certificate(tmp_path / "client.pem")))
    reader, writer = await connect(front, made)
    writer.write(request(NAME, "If-None-Match: x"))
    long = await answer(reader)
    before = hits(front)
    writer.close()
    reader, writer = await connect(front, made)
    pipelined = 50
    writer.write(request() * pipelined + request(NAME.lower()))
    for _ in range(pipelined):
        assert await answer(reader) == long
    assert (await answer(reader))[1] == long[1].replace(b"SN-1", b"sn-1")
    whole = request()
    for octet in range(len(whole)):
        writer.write(whole[octet : octet + 1])
        await writer.drain()
    assert await answer(reader) == long
    assert hits(front) >= before + pipelined + 1, "the short way was not taken"
    writer.close()
    await writer.wait_closed()


async def test_a_client_that_says_goodbye_is_answered_first(front: Front) -> None:
    await front.ask("PUT", NAME, value(1, "one"), basic())
    reader, writer = await connect(front, context(front))
    writer.write(request() + request(NAME, "Connection: close"))
    assert (await answer(reader))[0].startswith(b"HTTP/1.1 200")
    assert (await answer(reader))[0].startswith(b"HTTP/1.1 200")
    assert await reader.read() == b""
    writer.close()


async def test_what_is_no_tls_or_too_old_gets_nothing_and_others_go_on(front: Front) -> None:
    await front.ask("PUT", NAME, value(1, "one"), basic())
    for first in (request(), b"\x16\x03\x01\x00\x05hello", b"\0" * 300):
        reader, writer = await asyncio.open_connection("127.0.0.1", front.server.https_port)
        writer.write(first)
        async with asyncio.timeout(20):
            said = await reader.read()
        assert b"HTTP" not in said
        writer.close()
    old = context(front)
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await connect(front, old)
    weak = context(front, ssl.TLSVersion.TLSv1_2)
    weak.set_ciphers("AES128-SHA:ECDHE-ECDSA-AES128-SHA")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await connect(front, weak)
    assert (await front.ask("GET", NAME)).status == 200


async def test_large_bodies_pass_in_both_directions(front: Front) -> None:
    texts = [value(index, "x" * 60_000, "DESC") for index in range(1, 16)]
    assert (await front.ask("PUT", NAME, texts, basic())).status == 201
    read = await front.ask("GET", NAME)
    assert [one["data"]["value"] for one in read.json["values"]] == ["x" * 60_000] * 15


async def test_connections_are_drained_when_the_server_stops(front: Front) -> None:
    await front.ask("PUT", NAME, value(1, "one"), basic())
    reader, writer = await connect(front, context(front))
    writer.write(request())
    await answer(reader)
    async with asyncio.timeout(20):
        await front.server.stop(5)
        assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize("between", ["handshake", "write"])
def test_what_came_in_with_something_else_is_known_to_be_there(
    tmp_path: Path, between: str
) -> None:
    """uvloop asks `pending` whether to read: what it does not know of waits for ever."""
    path = tmp_path / "tls.pem"
    ensure_self_signed(path, [], datetime.datetime.now(datetime.UTC))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context(cafile=str(path)).wrap_bio(
        to_client, to_server, server_hostname="localhost"
    )
    server = TlsContext(path, path).wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server):
        with pytest.raises(ssl.SSLWantReadError):
            side.do_handshake()
    client.do_handshake()
    if between == "handshake":
        client.write(b"request")
        server.do_handshake()
    else:
        server.do_handshake()
        with pytest.raises(ssl.SSLWantReadError):
            server.read(100)
        assert server.pending() == 0
        client.write(b"request")
        server.write(b"answer")
    assert server.pending() > 0
    assert server.read(100) == b"request"
    with pytest.raises(ssl.SSLWantReadError):
        server.read(100)
    assert server.pending() == 0


def test_a_certificate_for_development_is_made_once_and_is_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "tls.pem"
    ensure_self_signed(path, ["node.example", "192.0.2.7", "0.0.0.0"], NOW)
    made = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    names = (
        x509.load_pem_x509_certificate(made)
        .extensions.get_extension_for_class(x509.SubjectAlternativeName)
        .value
    )
    assert {"localhost", "node.example"} <= set(names.get_values_for_type(x509.DNSName))
    addresses = names.get_values_for_type(x509.IPAddress)
    assert ipaddress.ip_address("192.0.2.7") in addresses
    assert ipaddress.ip_address("0.0.0.0") not in addresses
    ensure_self_signed(path, [], NOW + datetime.timedelta(days=3000))
    assert path.read_bytes() == made
    ensure_self_signed(path, [], NOW + datetime.timedelta(days=3649, hours=12))
    assert path.read_bytes() != made


def test_files_that_are_no_pair_are_refused_with_their_names(tmp_path: Path) -> None:
    one, two, empty = (tmp_path / name for name in ("one.pem", "two.pem", "empty.pem"))
    ensure_self_signed(one, [], NOW)
    ensure_self_signed(two, [], NOW)
    empty.write_bytes(b"")
    TlsContext(one, one)
    for certificate, key in ((one, two), (one, empty), (empty, one)):
        with pytest.raises(ValueError, match=r"\.pem"):
            TlsContext(certificate, key)
    with pytest.raises(FileNotFoundError):
        TlsContext(one, tmp_path / "absent.pem")
    with pytest.raises(FileNotFoundError):
        TlsContext(tmp_path / "absent.pem", one)
