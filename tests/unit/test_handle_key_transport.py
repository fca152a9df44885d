"""Session keys under an RSA key: read whatever the client writes, and nothing told of the rest."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, padding, rsa

from protocol.errors import ProtocolError, ResponseCode
from protocol.handle import key_transport
from protocol.handle.keys import encode_public_key
from protocol.handle.session import GROUP_2, KEY_BYTES, make_key_pair

OWN = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KEY, SPARE = bytes(range(KEY_BYTES)), bytes(range(100, 100 + KEY_BYTES))


def encrypted(plain: bytes) -> bytes:
    return OWN.public_key().encrypt(plain, padding.PKCS1v15())


def test_what_one_side_encrypts_the_other_reads() -> None:
    public = key_transport.read_rsa_key(encode_public_key(OWN.public_key()))
    sent = key_transport.encrypt_key(public, KEY)
    assert OWN.decrypt(sent, padding.PKCS1v15()) == b"\0\0\0\3" + KEY, "number of AES, key"
    assert key_transport.decrypt_key(OWN, sent, SPARE) == KEY


@pytest.mark.parametrize("size", [16, 24, 32])
def test_the_reference_client_leaves_out_the_number_of_the_cipher(size: int) -> None:
    assert key_transport.decrypt_key(OWN, encrypted(KEY[:size]), SPARE) == KEY[:size]
    assert key_transport.decrypt_key(OWN, encrypted(b"\0\0\0\3" + KEY[:size]), SPARE) == KEY[:size]


@pytest.mark.parametrize(
    "plain",
    [b"", KEY[:8], b"\0\0\0\1" + KEY[:8], b"\0\0\0\2" + KEY[:24], b"\0\0\0\1" + KEY[:16], KEY * 4],
    ids=["empty", "short", "DES", "triple-DES", "another-cipher", "long"],
)
def test_what_is_no_key_for_aes_ends_in_a_key_that_nobody_knows(plain: bytes) -> None:
    assert key_transport.decrypt_key(OWN, encrypted(plain), SPARE) == SPARE


def test_nothing_tells_whether_the_padding_was_right() -> None:
    sent = bytearray(key_transport.encrypt_key(OWN.public_key(), KEY))
    sent[-1] ^= 1
    for data in (bytes(sent), bytes(255) + b"\1", bytes(256)):
        assert key_transport.decrypt_key(OWN, data, SPARE) != KEY


@pytest.mark.parametrize("size", [0, 255, 257])
def test_data_of_another_length_are_refused(size: int) -> None:
    with pytest.raises(ProtocolError) as refused:
        key_transport.decrypt_key(OWN, bytes(size), SPARE)
    assert refused.value.response_code == ResponseCode.SESSION_FAILED


def test_only_rsa_keys_encrypt() -> None:
    other = dsa.generate_private_key(key_size=1024).public_key()
    agreeing = make_key_pair(KEY, *GROUP_2).public
    for data, code in (
        (encode_public_key(other), ResponseCode.RSA_KEY_NEEDED),
        (encode_public_key(agreeing), ResponseCode.RSA_KEY_NEEDED),
        (b"nonsense", ResponseCode.SESSION_FAILED),
        (b"", ResponseCode.SESSION_FAILED),
    ):
        with pytest.raises(ProtocolError) as refused:
            key_transport.read_rsa_key(data)
        assert refused.value.response_code == code
