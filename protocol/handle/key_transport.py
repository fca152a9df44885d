"""Session keys that one side makes and sends, encrypted with an RSA key of the other: modes 1 to 3.

Encrypted is the number of the cipher (4 bytes) and the key, by RSAES-PKCS1-v1_5 (RFC 8017 section
7.2). Source: reference implementation, from version 2.2 on; its client leaves the number out of
what it encrypts for a server (mode 2), which then no server of its kind understands: both are read.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import padding, rsa

from protocol.errors import InvalidValue, ProtocolError, ResponseCode
from protocol.handle import wire
from protocol.handle.keys import decode_public_key
from protocol.handle.session import KEY_BYTES, SessionCipher

_SIZES = (16, 24, KEY_BYTES)
"""Bytes of a key for AES, as clients make them. What a number stands before is 4 bytes longer."""

_AES = wire.number(SessionCipher.AES, 4)


def read_rsa_key(public_key: bytes) -> rsa.RSAPublicKey:
    """Read an RSA key in the form of HS_PUBKEY.

    Raises ProtocolError: code 501 for what is no key, 503 for a key of another kind.
    """
    try:
        key = decode_public_key(public_key)
    except InvalidValue as error:
        raise ProtocolError(error.detail, code=ResponseCode.SESSION_FAILED) from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise ProtocolError(
            "a session key is encrypted with an RSA key alone", code=ResponseCode.RSA_KEY_NEEDED
        )
    return key


def encrypt_key(public_key: rsa.RSAPublicKey, key: bytes) -> bytes:
    """Return a session key for AES, of KEY_BYTES, as it is sent to who has the private key."""
    return public_key.encrypt(_AES + key, padding.PKCS1v15())


def decrypt_key(private_key: rsa.RSAPrivateKey, data: bytes, spare: bytes) -> bytes:
    """Return the session key in `data`, or `spare`, random bytes, where there is none.

    Who could learn whether there was one could decrypt and sign with the private key by asking
    often enough (Bleichenbacher 1998; RFC 5246 section 7.4.7.1 has the same remedy). So nothing
    here tells: with the spare key a session is one in which nobody can say anything, as it would
    be with any other wrong key. Raises ProtocolError, code 501, for data of another length
    than the private key's, which everybody knows.
    """
    if len(data) != (private_key.key_size + 7) // 8:
        raise ProtocolError(
            "a session key is encrypted with the key of this site",
            code=ResponseCode.SESSION_FAILED,
        )
    try:
        plain = private_key.decrypt(data, padding.PKCS1v15())
    except ValueError:  # OpenSSL 3.2 and later return random bytes instead
        return spare
    if len(plain) in _SIZES:
        return plain
    if len(plain) - len(_AES) in _SIZES and plain.startswith(_AES):
        return plain[len(_AES) :]
    return spare
