"""TLS for the HTTP port: TLS 1.2 or later, and a client's certificate where it has one.

Who holds a key at the Handle System shows it by a certificate that it has signed itself, and what
counts is that the key is the one in its HS_PUBKEY. So any certificate must get through the
handshake, to be looked at later; the `ssl` module cannot do that, pyOpenSSL can. `TlsContext`
brings the latter to asyncio and uvloop in the former's clothes.
"""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL

from resolver.private_files import write_private
from resolver.transports.tls_object import TlsObject

# With forward secrecy and authenticated encryption; those of TLS 1.3 all are.
_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"
_SESSIONS = b"idnode"
_VALID = datetime.timedelta(days=3650)
_LATE = datetime.timedelta(days=1)
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  (not to bind to)


class TlsContext(ssl.SSLContext):
    """A server's side of TLS, for ``loop.create_server(ssl=...)``."""

    def __new__(cls, certificate: Path, key: Path) -> TlsContext:
        """Make what asyncio takes for a context."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read a chain of certificates, the server's own first, and its private key, both PEM.

        They may stand in one file. Raises OSError, and ValueError for what is not what it should
        be, or is not one pair.
        """
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
        context.set_cipher_list(_CIPHERS)
        context.set_session_id(_SESSIONS)
        # A certificate is asked for, none is demanded, and any is taken. TLS proves that the
        # client has its key; `Certificate.identity` says whose it is.
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        try:
            private = serialization.load_pem_private_key(key.read_bytes(), password=None)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{key}: no private key without a password: {error}") from None
        certificate.read_bytes()  # for the error of the system, if there is one
        try:
            context.use_certificate_chain_file(str(certificate))
            context.use_privatekey(private)  # type: ignore[arg-type]
            context.check_privatekey()
        except (SSL.Error, TypeError) as error:
            raise ValueError(f"{certificate} and {key} are not one pair: {error}") from None
        self._server = context

    def wrap_bio(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *_: object, **__: object
    ) -> Any:
        """Return the TLS of one connection."""
        return TlsObject(SSL.Connection(self._server, None), incoming, outgoing)


def ensure_self_signed(path: Path, hosts: Iterable[str], now: datetime.datetime) -> None:
    """Make a key and a certificate that signs itself, in one file readable by its owner alone.

    What is there stays, unless it ends within a day. hosts: names and addresses that it is for,
    besides this machine's own. Raises OSError.
    """
    if path.exists():
        kept = x509.load_pem_x509_certificate(path.read_bytes())
        if kept.not_valid_after_utc - _LATE > now:
            return
    key = ec.generate_private_key(ec.SECP256R1())
    octets = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + _certificate(key, hosts, now).public_bytes(serialization.Encoding.PEM)
    write_private(path, octets)


def _certificate(
    key: ec.EllipticCurvePrivateKey, hosts: Iterable[str], now: datetime.datetime
) -> x509.Certificate:
    own = ("localhost", "127.0.0.1", "::1", socket.gethostname())
    names = [_name(host) for host in dict.fromkeys((*own, *hosts)) if host not in _EVERYWHERE]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idnode")])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LATE)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
