"""With what a node shows the top-level node who it is, and by what it knows that one.

```
uplink/ca.pem       certificate of the authority: nothing else is trusted
uplink/node.pem     the node's own key and certificate, in one file so that they are always a pair
uplink/new-key.pem  the key of an enrolment that has not ended yet
```
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hmac
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec
import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from yarl import URL

from protocol.errors import InvalidValue
from resolver.federation.certificates import (
    PrivateKey,
    common_name,
    fingerprint,
    key_pem,
    make_key,
    make_request,
    pem,
    serial_of,
    utc_now,
)
from resolver.federation.problems import detail_of
from resolver.private_files import write_private

log = structlog.get_logger("idnode.uplink")

_TIMEOUT = aiohttp.ClientTimeout(total=20)
_LONGEST_ANSWER = 64 * 1024
_LONGEST_PAUSE, _SHORTEST_PAUSE = 60.0, 1.0


class EnrolmentFailed(Exception):
    """No certificate was given; the message is one line that says why."""


class _Issued(msgspec.Struct):
    certificate: str


@dataclass(frozen=True)
class Credentials:
    """The files of one node, in `directory`."""

    directory: Path

    @property
    def authority(self) -> Path:
        """The file of the authority's certificate."""
        return self.directory / "ca.pem"

    @property
    def own(self) -> Path:
        """The file of the node's key and certificate."""
        return self.directory / "node.pem"

    @property
    def new_key(self) -> Path:
        """The file of the key of an enrolment under way."""
        return self.directory / "new-key.pem"

    @property
    def there(self) -> bool:
        """Whether the node has been enrolled."""
        return self.own.exists() and self.authority.exists()

    def certificate(self) -> x509.Certificate:
        """Return the node's certificate. Raises OSError, ValueError."""
        return x509.load_pem_x509_certificate(self.own.read_bytes())

    def context(self) -> ssl.SSLContext:
        """Return the node's side of TLS. Raises OSError (ssl.SSLError is one)."""
        context = ssl.create_default_context(cafile=self.authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.own)
        return context


async def enrol(url: str, token: str, node: str, credentials: Credentials) -> x509.Certificate:
    """Get the first certificate of a node, and keep it; the one that was there is replaced.

    url: of the top-level node, https. token: from its operator. Nothing is told to a server whose
    authority is not the one that the token names. After a failure the same token may be used again.
    Raises EnrolmentFailed, InvalidValue for the token, OSError for the files.
    """
    secret, named = _read_token(token)
    base = URL(url)
    if base.scheme != "https":
        raise EnrolmentFailed("the URL of the top-level node is not an https URL")
    authority = await _authority(base, named)
    context = ssl.create_default_context(cadata=pem(authority).decode())
    key = _pending_key(credentials.new_key)
    body = {"token": secret, "node": node, "request": make_request(key, node).decode()}
    certificate = await _ask(base / "enrolments", body, context)
    _check(certificate, authority, key, node)
    write_private(credentials.authority, pem(authority))
    write_private(credentials.own, key_pem(key) + pem(certificate))
    credentials.new_key.unlink(missing_ok=True)
    return certificate


async def renew(url: str, credentials: Credentials, context: ssl.SSLContext) -> x509.Certificate:
    """Get the next certificate with the present one, keep it, and use it from now on.

    Connections that `context` has already made go on with the old one, which holds still.
    Raises EnrolmentFailed, and OSError or ValueError for the files.
    """
    present = credentials.certificate()
    authority = x509.load_pem_x509_certificate(credentials.authority.read_bytes())
    node = common_name(present) or ""
    key = make_key()
    body = {"request": make_request(key, node).decode()}
    certificate = await _ask(URL(url) / "certificates", body, context)
    _check(certificate, authority, key, node)
    write_private(credentials.own, key_pem(key) + pem(certificate))
    context.load_cert_chain(credentials.own)
    return certificate


async def keep_certificate(
    url: str,
    credentials: Credentials,
    context: ssl.SSLContext,
    stop: asyncio.Event,
    *,
    now: Callable[[], datetime.datetime] = utc_now,
) -> None:
    """Renew the certificate when two thirds of its time have passed, until `stop`.

    What fails is tried again, ten times at least in the time that is left. One that has expired
    can not be renewed: the node has to be enrolled anew, which is seen within a minute.
    Raises OSError, ValueError for the files.
    """
    used = credentials.certificate()
    while not stop.is_set():
        certificate = credentials.certificate()
        if certificate != used:
            context.load_verify_locations(credentials.authority)
            context.load_cert_chain(credentials.own)
            used = certificate
        left = (certificate.not_valid_after_utc - now()).total_seconds()
        wait = (renewal_due(certificate) - now()).total_seconds()
        if left <= 0:
            log.error("certificate_expired", action="enrol this node anew")
            wait = _LONGEST_PAUSE
        elif wait <= 0:
            try:
                used = await renew(url, credentials, context)
            except EnrolmentFailed as error:
                log.warning("certificate_not_renewed", error=str(error), left_seconds=round(left))
                wait = left / 10
            else:
                log.info("certificate_renewed", serial=serial_of(used))
                continue
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(max(wait, _SHORTEST_PAUSE), _LONGEST_PAUSE)):
                await stop.wait()


def renewal_due(certificate: x509.Certificate) -> datetime.datetime:
    """Return when two thirds of the time of a certificate have passed."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin + (end - begin) * 2 / 3


def _read_token(token: str) -> tuple[str, str]:
    secret, _, named = token.strip().partition(".")
    if not secret or len(named) != 64:
        raise InvalidValue("not a token of a top-level node", field="token")
    return secret, named


def _pending_key(path: Path) -> PrivateKey:
    """Return the key of an enrolment under way: the same after a failure as before."""
    if not path.exists():
        write_private(path, key_pem(make_key()))
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise EnrolmentFailed(f"{path} holds no key on an elliptic curve")
    return key


async def _authority(base: URL, named: str) -> x509.Certificate:
    """Ask a server, whoever it may be, for its authority; return it if it is the one named."""
    anybody = ssl.create_default_context()
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    status, answer = await _exchange("GET", base / "ca", None, anybody)
    try:
        authority = x509.load_pem_x509_certificate(answer)
    except ValueError:
        raise EnrolmentFailed(f"{base}: HTTP {status}, and no certificate") from None
    if not hmac.compare_digest(fingerprint(authority), named.lower()):
        raise EnrolmentFailed(f"{base} is not the top-level node that the token is from")
    return authority


async def _ask(url: URL, body: object, context: ssl.SSLContext) -> x509.Certificate:
    status, answer = await _exchange("POST", url, body, context)
    if status != 201:
        raise EnrolmentFailed(f"HTTP {status} {detail_of(answer)}".rstrip())
    try:
        issued = msgspec.json.decode(answer, type=_Issued)
        return x509.load_pem_x509_certificate(issued.certificate.encode())
    except (msgspec.MsgspecError, ValueError):
        raise EnrolmentFailed("the answer is not a certificate") from None


def _check(
    certificate: x509.Certificate, authority: x509.Certificate, key: PrivateKey, node: str
) -> None:
    """Raise EnrolmentFailed unless the certificate is ours, of our key and of the authority."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        raise EnrolmentFailed("the certificate is not of the authority") from None
    if certificate.public_key() != key.public_key() or common_name(certificate) != node:
        raise EnrolmentFailed("the certificate is for another node or another key")


async def _exchange(
    method: str, url: URL, body: object, context: ssl.SSLContext
) -> tuple[int, bytes]:
    """Ask on a connection of its own. Raises EnrolmentFailed."""
    data = None if body is None else msgspec.json.encode(body)
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.request(
                method,
                url,
                data=data,
                headers={"Content-Type": "application/json"} if data else {},
                ssl=context,
                allow_redirects=False,
            ) as response,
        ):
            answer = await response.content.read(_LONGEST_ANSWER)
            while not response.content.at_eof() and len(answer) < _LONGEST_ANSWER:
                answer += await response.content.read(_LONGEST_ANSWER - len(answer))
            return response.status, answer
    except TimeoutError:
        raise EnrolmentFailed(f"{url.origin()}: no answer within {_TIMEOUT.total:g} s") from None
    except (aiohttp.ClientError, OSError) as error:
        raise EnrolmentFailed(f"{url.origin()}: {error}") from None
