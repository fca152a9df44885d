"""HTTPS of a whole node: every worker serves it, and a renewed certificate comes into force."""

from __future__ import annotations

import datetime
import signal
import socket
import ssl
import stat
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from resolver.transports.tls import ensure_self_signed
from tests.e2e.node import Node, command, eventually, free_port, serve


def shown(port: int) -> bytes:
    """The certificate that the server shows on a new connection."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), 20) as plain,
        context.wrap_socket(plain) as secure,
    ):
        octets = secure.getpeercert(binary_form=True)
    assert octets is not None
    return octets


def get(port: int, path: str, certificate: Path) -> bytes:
    context = ssl.create_default_context(cafile=str(certificate))
    with urlopen(f"https://localhost:{port}{path}", timeout=20, context=context) as reply:
        octets: bytes = reply.read()
    return octets


def unauthorised(port: int, path: str, certificate: Path) -> HTTPError:
    context = ssl.create_default_context(cafile=str(certificate))
    request = Request(f"https://localhost:{port}{path}", method="DELETE")
    try:
        urlopen(request, timeout=20, context=context)
    except HTTPError as error:
        return error
    raise AssertionError("a stranger may delete")


def test_a_node_serves_https_and_takes_a_renewed_certificate(tmp_path: Path) -> None:
    port = free_port()
    certificate = tmp_path / "server.pem"
    now = datetime.datetime.now(datetime.UTC)
    ensure_self_signed(certificate, [], now)
    with serve(tmp_path, https_port=port, tls_cert="server.pem", workers=2) as node:
        prefix = node.register(["SN-1"])
        path = f"/api/handles/{prefix}/SN-1"
        plain = node.get(path).body
        assert all(get(port, path, certificate) == plain for _ in range(8))
        refused = unauthorised(port, path, certificate)
        assert refused.code == 401
        offers = refused.headers.get_all("WWW-Authenticate")
        assert offers is not None
        assert [offer.split()[0] for offer in offers] == ["Basic", "Handle"]
        refused.close()
        before = shown(port)
        certificate.unlink()
        ensure_self_signed(certificate, [], now)
        node.process.send_signal(signal.SIGHUP)
        eventually(
            lambda: all(shown(port) != before for _ in range(8)),
            "a renewed certificate is shown by every worker",
        )
        _broken_certificate_changes_nothing(node, port, certificate)


def _broken_certificate_changes_nothing(node: Node, port: int, certificate: Path) -> None:
    good = shown(port)
    certificate.write_text("no certificate")
    node.process.send_signal(signal.SIGHUP)
    eventually(lambda: node.events("settings_not_reloaded"), "the log says what is wrong")
    assert shown(port) == good


def test_a_certificate_for_development_is_made_in_the_data_directory(tmp_path: Path) -> None:
    port = free_port()
    with serve(tmp_path, https_port=port) as node:
        made = node.data_dir / "tls.pem"
        assert stat.S_IMODE(made.stat().st_mode) == 0o600
        assert b"responseCode" in get(port, "/api/handles/88.118", made)


def test_a_certificate_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    for text in (None, "no certificate"):
        file = tmp_path / "server.pem"
        if text is not None:
            file.write_text(text)
        ended = command(
            "serve",
            cwd=tmp_path,
            https_port=free_port(),
            http_port=free_port(),
            admin_port=free_port(),
            tls_cert=file,
        )
        assert ended.returncode != 0
        assert "server.pem" in ended.stderr
        assert "Traceback" not in ended.stderr
