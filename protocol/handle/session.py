"""Sessions: a shared key, with which messages are authenticated and, if asked for, encrypted.

The reference client sets one up by Diffie-Hellman, with the 1024-bit group 2 of RFC 2409, before
it administers. The server signs its part. Messages then carry a MAC (see credential.py) with a
counter; AES-128 in CBC mode encrypts header, body and credential as a whole. Other ciphers that
the reference implementation knows, DES and triple DES, are refused. Source: reference
implementation; RFC 3652 section 3.7 has the messages and leaves the ciphers open.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from protocol.errors import InvalidValue, ProtocolError, ResponseCode
from protocol.handle import wire
from protocol.handle.envelope import Envelope
from protocol.handle.keys import DhPublicKey, decode_public_key, encode_public_key

GROUP_2 = (
    int(
        "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74"
        "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437"
        "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
        "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF",
        16,
    ),
    2,
)
"""Prime and generator, RFC 2409 section 6.2."""

SECRET_BYTES = 32
"""Random bytes that make a private key: twice what a group of 1024 or 2048 bits can use."""

KEY_BYTES = 32
"""Bytes of a session key. All of them make MACs; the first 16 encrypt."""

IV_BYTES = 16
REPLAY_WINDOW = 200
"""How far a counter may lie behind the highest one seen."""

_AES_BYTES = 16
_BLOCK_BITS = 128


class SessionCipher(IntEnum):
    """Ciphers of the reference implementation, by the number before the server's DH key."""

    DES = 1
    TRIPLE_DES = 2
    AES = 3


@dataclass(frozen=True, slots=True)
class DhKeyPair:
    """One side of an exchange. Made for one session and then forgotten."""

    public: DhPublicKey
    secret: int = field(repr=False)


def make_key_pair(secret: bytes, prime: int = GROUP_2[0], generator: int = GROUP_2[1]) -> DhKeyPair:
    """Return a key pair. secret: SECRET_BYTES random bytes; a server takes the client's group."""
    exponent = int.from_bytes(secret, "big")
    if len(secret) < SECRET_BYTES or exponent < 2:
        raise InvalidValue(f"a private key has at least {SECRET_BYTES} random bytes", field="key")
    return DhKeyPair(DhPublicKey(pow(generator, exponent, prime), prime, generator), exponent)


def agree(own: DhKeyPair, other: DhPublicKey) -> bytes:
    """Return the session key that both sides come to. Raises ProtocolError, code 501."""
    prime = own.public.prime
    if (other.prime, other.generator) != (prime, own.public.generator):
        raise _failed("the keys are of two groups")
    shared = pow(other.y, own.secret, prime).to_bytes((prime.bit_length() + 7) // 8, "big")
    begin = 0
    while begin + KEY_BYTES < len(shared) and shared[begin] == 0:
        begin += 1
    return shared[begin : begin + KEY_BYTES]


def read_client_key(public_key: bytes) -> DhPublicKey:
    """Read the key in a setup request of mode 4. Raises ProtocolError, code 501."""
    try:
        key = decode_public_key(public_key)
    except InvalidValue as error:
        raise _failed(error.detail) from None
    if not isinstance(key, DhPublicKey):
        raise _failed("not a Diffie-Hellman key")
    return key


def encode_server_key(key: DhPublicKey) -> bytes:
    """Return the data of a setup response of mode 4: the cipher and the key."""
    return wire.number(SessionCipher.AES, 4) + encode_public_key(key)


def read_server_key(data: bytes) -> DhPublicKey:
    """Read the data of a setup response of mode 4.

    Raises ProtocolError, code 501, also where the server wants another cipher than AES, as all
    below version 2.4 do.
    """
    if data[:4] != wire.number(SessionCipher.AES, 4):
        raise _failed("the server does not offer AES")
    return read_client_key(data[4:])


def encrypt(key: bytes, iv: bytes, payload: bytes) -> bytes:
    """Return IV and ciphertext. iv: IV_BYTES random bytes, never used before."""
    padder = padding.PKCS7(_BLOCK_BITS).padder()
    encryptor = Cipher(algorithms.AES(key[:_AES_BYTES]), modes.CBC(iv)).encryptor()
    padded = padder.update(payload) + padder.finalize()
    return iv + encryptor.update(padded) + encryptor.finalize()


def decrypt(key: bytes, data: bytes) -> bytes:
    """Return the payload of an encrypted message. Raises ProtocolError, code 501.

    A server answers the same to a payload that cannot be decrypted and to one whose MAC is
    wrong, so that nobody finds out by the padding what is in a message.
    """
    blocks, surplus = divmod(len(data), _BLOCK_BITS // 8)
    if blocks < 2 or surplus:
        raise _failed("an encrypted message is not made of whole blocks")
    decryptor = Cipher(algorithms.AES(key[:_AES_BYTES]), modes.CBC(data[:IV_BYTES])).decryptor()
    unpadder = padding.PKCS7(_BLOCK_BITS).unpadder()
    padded = decryptor.update(data[IV_BYTES:]) + decryptor.finalize()
    try:
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise _failed("the message cannot be decrypted") from None


def encrypt_message(
    envelope: Envelope, payload: bytes, key: bytes, iv: bytes
) -> tuple[Envelope, bytes]:
    """Return envelope and payload as they are sent."""
    data = encrypt(key, iv, payload)
    return replace(envelope, encrypted=True, message_length=len(data)), data


def decrypt_message(envelope: Envelope, data: bytes, key: bytes) -> tuple[Envelope, bytes]:
    """Return envelope and payload as message.decode_payload reads them. Raises ProtocolError."""
    payload = decrypt(key, data)
    return replace(envelope, encrypted=False, message_length=len(payload)), payload


@dataclass(frozen=True, slots=True)
class ReplayWindow:
    """The counters that a session has seen: bit n of `seen` stands for `highest` - n.

    Counters may come out of order, as UDP brings them, but none twice, and none that lies
    REPLAY_WINDOW or more behind.
    """

    highest: int = 0
    seen: int = 1

    def accept(self, counter: int) -> ReplayWindow:
        """Return the window with `counter` seen. Raises ProtocolError, code 505.

        Call it after the MAC has been verified, and keep the result before acting.
        """
        ahead = counter - self.highest
        if ahead > 0:
            # A jump over the whole window leaves nothing of it, however far it goes.
            kept = self.seen << ahead if ahead < REPLAY_WINDOW else 0
            return ReplayWindow(counter, (kept | 1) & (1 << REPLAY_WINDOW) - 1)
        if -ahead >= REPLAY_WINDOW or self.seen >> -ahead & 1:
            raise ProtocolError(
                f"session counter {counter} has been used", code=ResponseCode.MESSAGE_REJECTED
            )
        return ReplayWindow(self.highest, self.seen | 1 << -ahead)


def _failed(detail: str) -> ProtocolError:
    return ProtocolError(detail, code=ResponseCode.SESSION_FAILED)
