"""The credential at the end of a message: a server's signature or a session's MAC.

Sources: RFC 3652 section 2.2.4; the reference implementation, which put a session counter where
the RFC has the index of the signer, and has since 2.7 covered the envelope too.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass

from protocol.handle import wire
from protocol.handle.envelope import Envelope
from protocol.handle.signing import (
    MacAlgorithm,
    SigningKey,
    VerifyingKey,
    hash_for,
    mac,
    mac_named,
    sign,
    verify,
)

SIGNED = "HS_SIGNED"
MAC = "HS_MAC"
SIGNED_OLD = "HS_DSAPUBKEY"
"""What servers before 2.0 call a signature."""

_MAX_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Credential:
    """Who vouches for a message.

    type: SIGNED, SIGNED_OLD or MAC. algorithm: name of the hash or MAC, such as ``SHA-256``.
    counter: number of the message in its session, from 1; 0 outside of sessions.
    signer: empty; nobody uses it.
    """

    type: str
    algorithm: str
    signature: bytes
    counter: int = 0
    signer: str = ""

    def encode(self) -> bytes:
        """Return the credential as it ends a message, with its length before it."""
        section = wire.text(self.algorithm) + wire.octets(self.signature)
        return wire.octets(
            b"".join(
                (
                    bytes(4),  # version, reserved, flags
                    wire.text(self.signer),
                    wire.number(self.counter, 4),
                    wire.text(self.type),
                    wire.octets(section),
                )
            )
        )


def read_credential(reader: wire.Reader) -> Credential | None:
    """Read the end of a message. Raises ProtocolError.

    None where its length is 0, and where there is not even a length, which the reference server
    takes too.
    """
    if not reader.left:
        return None
    octets = reader.octets(_MAX_BYTES)
    if not octets:
        return None
    inner = wire.Reader(octets)
    if inner.number(1) != 0:
        inner.fail("the version of the credential is not known")
    inner.take(3)
    signer, counter, type_ = inner.text(), inner.number(4), inner.text()
    section = wire.Reader(inner.octets())
    inner.end()
    algorithm, signature = section.text(), section.octets()
    section.end()
    return Credential(type_, algorithm, signature, counter, signer)


def sign_message(envelope: Envelope, content: bytes, key: SigningKey) -> Credential:
    """Return the signature of a message.

    envelope: as it will be sent; content: header and body.
    """
    name = hash_for(envelope.version, key)
    return Credential(SIGNED, name, sign(key, name, _signed(envelope, 0) + content))


def verify_message(
    credential: Credential, envelope: Envelope, content: bytes, key: VerifyingKey
) -> bool:
    """Return whether the credential is a signature of the message, made with the key's other half.

    content: header and body as received.
    """
    if credential.type not in (SIGNED, SIGNED_OLD):
        return False
    data = _signed(envelope, credential.counter) + content
    return verify(key, credential.algorithm, credential.signature, data)


def mac_message(envelope: Envelope, content: bytes, key: bytes, counter: int) -> Credential:
    """Return the MAC of a message of a session.

    key: the whole session key; counter: one more than in the message before.
    """
    algorithm, name = MacAlgorithm.SHA1, "\x02"
    if envelope.version.at_least(7):
        algorithm, name = MacAlgorithm.HMAC_SHA256, "HMAC-SHA256"
    elif envelope.version.at_least(6):
        name = "SHA1"
    return Credential(MAC, name, _mac(algorithm, envelope, content, key, counter), counter)


def verify_mac(credential: Credential, envelope: Envelope, content: bytes, key: bytes) -> bool:
    """Return whether the credential is a MAC of the message, made with the session key.

    The counter must be checked besides: see session.ReplayWindow.
    """
    algorithm = mac_named(credential.algorithm)
    if credential.type != MAC or algorithm is None:
        return False
    return hmac.compare_digest(
        _mac(algorithm, envelope, content, key, credential.counter), credential.signature
    )


def _mac(
    algorithm: MacAlgorithm, envelope: Envelope, content: bytes, key: bytes, counter: int
) -> bytes:
    version = envelope.version
    if version.at_least(7):
        return mac(algorithm, key, _envelope_fields(envelope, counter) + content)
    if version.at_least(5):
        # Versions 2.5 and 2.6 were to cover the envelope, but wrote the message over it.
        name = "sha256" if algorithm is MacAlgorithm.SHA256 else "sha1"
        return hashlib.new(
            name, key[:4] + content + key + bytes(len(key) + 10), usedforsecurity=False
        ).digest()
    return mac(algorithm, key, content)


def _signed(envelope: Envelope, counter: int) -> bytes:
    """Return what a signature covers before header and body."""
    version = envelope.version
    if version.at_least(7):
        return _envelope_fields(envelope, counter)
    if version.at_least(6):
        # Version 2.6 wrote the counter over the request id, and both over the session id.
        return struct.pack(">BBHI6x", *version, envelope.session_id >> 16, counter)
    return b""


def _envelope_fields(envelope: Envelope, counter: int) -> bytes:
    versions = bytes(envelope.version)
    if envelope.version.at_least(8):
        versions += bytes(envelope.peer)
    return versions + struct.pack(">III", envelope.session_id, envelope.request_id, counter)
