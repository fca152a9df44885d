"""What a request says to prove who sends it: the Authorization header of the Handle JSON API.

Handle.Net technical manual, chapter 14.6: ``Basic`` with an identity and its secret; ``Handle``
with a signature of a session's nonce, with a session that has been authenticated, or with the
word that the TLS connection has shown a certificate.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.x509.oid import NameOID

from protocol.errors import AuthenticationFailed, InvalidHandle, ProtocolError
from protocol.handle import challenge
from protocol.handle.keys import SECRET_KEY
from protocol.handle.signing import mac, mac_named, verify
from protocol.identifier import Identifier
from registry.admins import Identity
from registry.identities import IdentityKey

_PARAMETER = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"([^"\\]*)"|([^\s",]+))\s*(?:,|$)')
_MOST_PARAMETERS = 16
_PBKDF2 = "PBKDF2HMACSHA1"
_PBKDF2_BITS = 160
_MAX_INDEX_DIGITS = 10


@dataclass(frozen=True)
class Basic:
    """An identity and the secrets that its password may stand for: decoded, and as it is."""

    identity: Identity
    secrets: tuple[bytes, bytes]

    def holds(self, secret: bytes) -> bool:
        """Whether the password is this secret."""
        if not secret:
            return False
        decoded, plain = (hmac.compare_digest(given, secret) for given in self.secrets)
        return decoded or plain


@dataclass(frozen=True)
class Signed:
    """Parameters of the scheme Handle; an absent one is empty."""

    session_id: str = ""
    identity: Identity | None = None
    type: str = ""
    cnonce: bytes = b""
    alg: str = ""
    signature: bytes = b""
    salt: bytes = b""
    iterations: int = challenge.ITERATIONS
    length: int = _PBKDF2_BITS
    client_cert: bool = False

    def holds(self, nonce: bytes, key: IdentityKey) -> bool:
        """Whether the signature is one of `nonce` and the client's own, made with `key`."""
        if not self.cnonce or not self.signature:
            return False
        data = nonce + self.cnonce
        if key.type == SECRET_KEY:
            return bool(key.data) and self._holds_secret(data, key.data)
        public = key.verifying()
        return public is not None and verify(public, self.alg.upper(), self.signature, data)

    def _holds_secret(self, data: bytes, secret: bytes) -> bool:
        if self.alg.upper().replace("-", "") == _PBKDF2:
            try:
                return challenge.verify_derived(
                    secret,
                    data,
                    self.signature,
                    salt=self.salt,
                    iterations=self.iterations,
                    bits=self.length,
                )
            except ProtocolError as error:
                raise AuthenticationFailed(error.detail) from None
        algorithm = mac_named(self.alg)
        if algorithm is None:
            return False
        return hmac.compare_digest(mac(algorithm, secret, data), self.signature)


def read(header: str) -> Basic | Signed:
    """Read an Authorization header of one of the two schemes. Raises AuthenticationFailed."""
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() == "basic":
        return _read_basic(rest.strip())
    if scheme.lower() == "handle":
        return read_parameters(_parameters(rest))
    raise AuthenticationFailed("the scheme is not Basic or Handle", field="Authorization")


def _read_basic(text: str) -> Basic:
    try:
        octets = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise AuthenticationFailed(
            "the credentials are not base64", field="Authorization"
        ) from None
    name, colon, password = octets.partition(b":")
    if not colon:
        raise AuthenticationFailed("there is no password", field="Authorization")
    try:
        identity = read_identity(unquote_to_bytes(name).decode())
    except UnicodeDecodeError:
        raise AuthenticationFailed("the user is not UTF-8", field="Authorization") from None
    return Basic(identity, (unquote_to_bytes(password), password))


def _parameters(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(text) and len(found) < _MOST_PARAMETERS:
        match = _PARAMETER.match(text, at)
        if match is None:
            raise AuthenticationFailed("not a list of name=value", field="Authorization")
        found[match[1].lower()] = match[2] if match[2] is not None else match[3]
        at = match.end()
    return found


def read_parameters(given: Mapping[str, str]) -> Signed:
    """Read the parameters of the scheme Handle, by their names in small letters.

    Raises AuthenticationFailed.
    """
    return Signed(
        session_id=given.get("sessionid", ""),
        identity=read_identity(given["id"]) if given.get("id") else None,
        type=given.get("type", ""),
        cnonce=_octets(given, "cnonce"),
        alg=given.get("alg", ""),
        signature=_octets(given, "signature"),
        salt=_octets(given, "salt"),
        iterations=_number(given, "iterations", challenge.ITERATIONS),
        length=_number(given, "length", _PBKDF2_BITS),
        client_cert=given.get("clientcert", "").lower() == "true",
    )


def _octets(given: Mapping[str, str], name: str) -> bytes:
    try:
        return base64.b64decode(given.get(name, ""), validate=True)
    except (binascii.Error, ValueError):
        raise AuthenticationFailed("not base64", field=name) from None


def _number(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name)
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_INDEX_DIGITS):
        raise AuthenticationFailed("not a number", field=name)
    return int(text)


def read_identity(text: str) -> Identity:
    """Read ``index:handle``; a handle alone means index 0. Raises AuthenticationFailed."""
    index, colon, handle = text.partition(":")
    if not (colon and index.isascii() and index.isdecimal() and len(index) <= _MAX_INDEX_DIGITS):
        index, handle = "0", text
    try:
        Identifier.parse(handle)
    except InvalidHandle as error:
        raise AuthenticationFailed(f"not index:handle: {error.detail}", field="id") from None
    return Identity(int(index), handle)


def certified(certificate: x509.Certificate, now: datetime.datetime) -> Identity:
    """Return whose a client's certificate says that it is: its UID, or else its common name.

    That says nothing yet: its key must be the identity's. Raises AuthenticationFailed, also for
    one whose time is over or has not come.
    """
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise AuthenticationFailed("the certificate is not valid now")
    for oid in (NameOID.USER_ID, NameOID.COMMON_NAME):
        for attribute in certificate.subject.get_attributes_for_oid(oid):
            if isinstance(attribute.value, str):
                return read_identity(attribute.value)
    raise AuthenticationFailed("the certificate names nobody")
