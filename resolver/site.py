"""Our own site: what HS_SITE says of this node, and the key that signs its answers.

RFC 3651 section 3.2.2. One node is one server of one primary site.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from protocol import typed
from protocol.handle.keys import encode_public_key
from protocol.handle.version import LATEST
from resolver.private_files import write_private

FIRST_SERIAL = 1
"""Serial number of the site information before anything of it has changed."""

_KEY_BITS = 2048
_ADMIN_AND_QUERY, _QUERY = {"query": True, "admin": True}, {"query": True, "admin": False}


@dataclass(frozen=True)
class Site:
    """record: the HS_SITE data; key: signs answers if there is one and a signature is asked for."""

    record: bytes
    serial: int
    key: rsa.RSAPrivateKey | None


def make_site(
    address: str,
    *,
    handle_port: int,
    http_port: int,
    https_port: int = 0,
    key: rsa.RSAPrivateKey | None = None,
    serial: int = FIRST_SERIAL,
) -> Site:
    """Return the site of a node. address: IPv4 or IPv6, where clients reach it; port 0: not served.

    serial: grows with each change of the rest, so that clients know which is the newer one.

    Raises InvalidValue for a bad address.
    """
    interfaces = [
        {**kind, "protocol": protocol, "port": port}
        for kind, protocol, port in (
            (_ADMIN_AND_QUERY, "TCP", handle_port),
            (_QUERY, "UDP", handle_port),
            (_ADMIN_AND_QUERY, "HTTP", http_port),
            (_ADMIN_AND_QUERY, "HTTPS", https_port),
        )
        if port
    ]
    server: dict[str, object] = {"serverId": 1, "address": address, "interfaces": interfaces}
    if key is not None:
        server["publicKey"] = {
            "format": "base64",
            "value": base64.b64encode(encode_public_key(key.public_key())).decode(),
        }
    record = typed.site_from_json(
        {
            "protocolVersion": str(LATEST),
            "serialNumber": serial,
            "primarySite": True,
            "servers": [server],
        }
    )
    return Site(record, serial, key)


def ensure_key(path: Path) -> None:
    """Make the node's private key, readable by its owner alone, if it is not there."""
    if path.exists():
        return
    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    octets = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(path, octets)


def load_key(path: Path) -> rsa.RSAPrivateKey:
    """Read the node's private key. Raises OSError, and ValueError for what is no RSA key."""
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError(f"{path} holds no RSA key")
    return key
