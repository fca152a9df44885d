"""HS_PUBKEY in Handle JSON: the numbers of RFC 7517, there and back, and what is no key."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, rsa

from protocol import json_api, typed
from protocol.errors import InvalidValue
from protocol.handle.jwk import key_from_json, key_to_json
from protocol.handle.keys import encode_public_key
from protocol.values import HandleValue

# The key of RFC 7517 appendix A.1.
RFC_KEY = {
    "kty": "RSA",
    "n": (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP"
        "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY"
        "368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f"
        "M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    ),
    "e": "AQAB",
}


def test_the_key_of_the_rfc_has_its_numbers() -> None:
    data = key_from_json({**RFC_KEY, "alg": "RS256", "kid": "2011-04-29"})
    assert key_to_json(data) == RFC_KEY
    numbers = rsa.RSAPublicNumbers(65537, int.from_bytes(number_of("n"), "big"))
    assert data == encode_public_key(numbers.public_key())


def number_of(name: str) -> bytes:
    return base64.urlsafe_b64decode(RFC_KEY[name] + "==")


@pytest.mark.parametrize("kind", ["RSA", "DSA"])
def test_a_key_goes_through_json_unchanged(kind: str) -> None:
    private: Any = (
        rsa.generate_private_key(public_exponent=3, key_size=1024)
        if kind == "RSA"
        else dsa.generate_private_key(1024)
    )
    data = encode_public_key(private.public_key())
    written = json_api.encode_value(HandleValue(300, "HS_PUBKEY", data))
    assert written["data"]["format"] == "key"
    assert written["data"]["value"]["kty"] == kind
    assert json_api.decode_value(written).data == data


def test_bytes_that_json_would_not_give_back_stay_bytes() -> None:
    data = key_from_json(RFC_KEY)
    for other in (data[:-4], data[:-1], data + b"\0", b"no key"):
        assert typed.to_json("HS_PUBKEY", other) is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kty": "EC"}, "kty"),
        ({"kty": None}, "kty"),
        ({"n": 5}, "n"),
        ({"n": ""}, "n"),
        ({"n": "*" * 10}, "n"),
        ({"n": "A" * 5000}, "n"),
        ({"e": "泵"}, "e"),
        ({"n": "AQAB"}, None),
        ({"e": "AA"}, None),
    ],
)
def test_what_is_no_key_is_refused(change: dict[str, Any], field: str | None) -> None:
    with pytest.raises(InvalidValue) as refused:
        key_from_json({**RFC_KEY, **change})
    assert refused.value.field == field
    with pytest.raises(InvalidValue):
        key_from_json([])
