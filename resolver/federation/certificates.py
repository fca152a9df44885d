"""X.509 (RFC 5280) for both ends: keys, requests (RFC 2986), and what a certificate must have.

Keys are on the curve P-256. A node is named by the common name of its certificate, ``88.118``.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocol.errors import InvalidValue
from resolver.private_files import write_private

PrivateKey = ec.EllipticCurvePrivateKey

AUTHORITY_LIFE = datetime.timedelta(days=3650)
SERVER_LIFE = datetime.timedelta(days=825)
_MOST_LATE = datetime.timedelta(minutes=5)
_LARGEST_REQUEST = 8 * 1024


def utc_now() -> datetime.datetime:
    """Return the time, in UTC."""
    return datetime.datetime.now(datetime.UTC)


def make_key() -> PrivateKey:
    """Make a private key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKey) -> bytes:
    """Return a private key in PEM, without a password."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate in PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate, in hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def serial_of(certificate: x509.Certificate) -> str:
    """Return the serial number of a certificate, in hexadecimal."""
    return f"{certificate.serial_number:x}"


def common_name(certificate: x509.Certificate) -> str | None:
    """Return whom a certificate names, None where that is not one."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    value = names[0].value if len(names) == 1 else None
    return value if isinstance(value, str) else None


def make_request(key: PrivateKey, node: str) -> bytes:
    """Return a request for a certificate of a node, in PEM."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(node))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def read_request(text: str) -> ec.EllipticCurvePublicKey:
    """Return the key that a request is for, once it has proved to have the private one.

    Nothing else of the request counts. Raises InvalidValue.
    """
    if len(text) > _LARGEST_REQUEST:
        raise InvalidValue(f"longer than {_LARGEST_REQUEST} bytes", field="request")
    try:
        request = x509.load_pem_x509_csr(text.encode())
        signed, key = request.is_signature_valid, request.public_key()
    except (ValueError, UnsupportedAlgorithm, InvalidSignature):
        raise InvalidValue("not a certificate request in PEM", field="request") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidValue("the key is not on the curve P-256", field="request")
    if not signed:
        raise InvalidValue("not signed with the key that it is for", field="request")
    return key


def key_digest(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the SHA-256 of a public key."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(
        key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return digest.finalize()


@dataclass(frozen=True)
class Authority:
    """Who issues certificates to the nodes under `prefix`, each for `life`."""

    key: PrivateKey
    certificate: x509.Certificate
    prefix: str
    life: datetime.timedelta
    now: Callable[[], datetime.datetime] = utc_now

    def for_node(self, key: ec.EllipticCurvePublicKey, node: str) -> x509.Certificate:
        """Issue a certificate with which a node shows who it is."""
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return self._issue(key, _name(node), self.life, usage)

    def for_server(self, key: ec.EllipticCurvePublicKey, hosts: Iterable[str]) -> x509.Certificate:
        """Issue a certificate of the top-level node itself, for these names and addresses."""
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        names = x509.SubjectAlternativeName([_host(host) for host in dict.fromkeys(hosts)])
        return self._issue(key, _name("idnode top-level node"), SERVER_LIFE, usage, names)

    def _issue(
        self,
        key: ec.EllipticCurvePublicKey,
        subject: x509.Name,
        life: datetime.timedelta,
        *extensions: x509.ExtensionType,
    ) -> x509.Certificate:
        own = self.certificate
        issuer_key = own.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        builder = (
            _builder(subject, own.subject, key, self.now(), life)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key),
                critical=False,
            )
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256())


def open_authority(
    path: Path,
    *,
    prefix: str,
    life: datetime.timedelta,
    now: Callable[[], datetime.datetime] = utc_now,
) -> Authority:
    """Read the key and the certificate of the authority, made once and kept in one file.

    Raises OSError, and ValueError for what is no such file.
    """
    if not path.exists():
        key = make_key()
        write_private(path, key_pem(key) + pem(_self_signed(key, now())))
    octets = path.read_bytes()
    loaded = serialization.load_pem_private_key(octets, password=None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path}: the key is not on an elliptic curve")
    return Authority(loaded, x509.load_pem_x509_certificate(octets), prefix, life, now)


def _self_signed(key: PrivateKey, now: datetime.datetime) -> x509.Certificate:
    name = _name("idnode top-level authority")
    return (
        _builder(name, name, key.public_key(), now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    life: datetime.timedelta,
) -> x509.CertificateBuilder:
    # Clocks differ a little: what was issued just now holds on a machine that is late.
    begin = now - min(_MOST_LATE, life / 10)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
