"""Data of the predefined types: what is taken, and what is refused with field and rule."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from protocol import typed
from protocol.errors import InvalidValue
from protocol.handle.admin import AdminRecord, encode_value_list
from protocol.handle.jws import sign_claims
from protocol.handle.keys import encode_public_key
from protocol.handle.namespace import MAX_DEPTH
from protocol.handle.service import decode_service, encode_service
from protocol.typed_check import CHECKS, check_typed
from protocol.values import MAX_DATA_BYTES, HandleValue, Reference

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SITE = typed.site_from_json({"servers": []})
JWS = sign_claims({"sub": "300:0.NA/88.118.35"}, KEY).encode()
NAMESPACE = (
    '<namespace><name>泵</name><template delimiter="@"><foreach>'
    '<value index="${index}" data="${data}?u=${extension}"/></foreach></template></namespace>'
).encode()
PLACE = Reference("0.NA/88.118.35", 300)

GOOD = {
    "HS_ADMIN": AdminRecord(PLACE).encode(),
    "HS_VLIST": encode_value_list([PLACE, PLACE]),
    "HS_PUBKEY": encode_public_key(KEY.public_key()),
    "HS_SITE": SITE,
    "HS_SITE.6": SITE,
    "HS_SITE.PREFIX": SITE,
    "HS_NA_DELEGATE": SITE,
    "HS_SERV": b"0.SERV/pumps",
    "HS_SERV.PREFIX": "88.118.35/泵站 1".encode(),
    "HS_NAMESPACE": NAMESPACE,
    "HS_CERT": JWS,
    "HS_SIGNATURE": JWS,
}
ENTITY = b'<!DOCTYPE namespace [<!ENTITY a "aaaa">]><namespace>&a;</namespace>'
OUTSIDE = b'<!DOCTYPE namespace SYSTEM "file:///etc/passwd"><namespace/>'


def refused(type_: str, data: bytes) -> str:
    values = [HandleValue(1, "URL", b"zzz"), HandleValue(2, type_, data)]
    with pytest.raises(InvalidValue) as caught:
        check_typed(values)
    assert caught.value.field == "values[1].data"
    assert caught.value.detail.startswith(f"no data of {type_}: ")
    return caught.value.detail


def test_there_is_a_check_for_each_type_that_has_a_form() -> None:
    assert GOOD.keys() == CHECKS.keys()
    assert typed.JSON_FORMAT.keys() <= CHECKS.keys()


@pytest.mark.parametrize("type_", GOOD)
def test_good_data_are_taken_and_others_refused_whatever_the_case(type_: str) -> None:
    data = GOOD[type_]
    for name in (type_, type_.lower()):
        check_typed([HandleValue(1, name, data)])
        for bad in (b"", b"zzz", b"\xff" + data, data[:-1] if "SERV" not in type_ else b"a/\xff"):
            refused(name, bad)


def test_old_tools_write_two_bytes_more_in_an_administrator() -> None:
    check_typed([HandleValue(1, "HS_ADMIN", GOOD["HS_ADMIN"] + bytes(2))])


def test_types_that_only_begin_like_one_are_as_they_are() -> None:
    names = ("HS_SECKEY", "HS_ALIAS", "HS_SITE.7", "HS_SERVICE", "HS_ADMIN.X", "SITE")
    check_typed([HandleValue(n, name, b"\xff") for n, name in enumerate(names, 1)])


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"<namespace>", "line 1 of the XML: no element found"),
        (b"<namespace>\n<b></namespace>", "line 2 of the XML: mismatched tag"),
        (b"<namespace/><namespace/>", "junk after document element"),
        (b"<namespace>&a;</namespace>", "undefined entity"),
        (b"<template/>", "the root element is namespace"),
        (ENTITY, "a document type"),
        (OUTSIDE, "a document type"),
        (b'<?xml version="1.0" encoding="UTF-16"?><namespace/>', "the XML is in UTF-8"),
        (b"<namespace>\xff</namespace>", "not well-formed"),
        (b"<namespace>" + b"<a>" * MAX_DEPTH, f"more than {MAX_DEPTH} elements"),
    ],
)
def test_a_namespace_is_well_formed_xml_without_declarations(data: bytes, rule: str) -> None:
    assert rule in refused("HS_NAMESPACE", data)


def test_a_namespace_may_be_as_long_as_data_may_be() -> None:
    ends = b'<?xml version="1.0" encoding="utf-8"?><namespace>', b"</namespace>"
    data = ends[0] + b"x" * (MAX_DATA_BYTES - len(ends[0]) - len(ends[1])) + ends[1]
    check_typed([HandleValue(1, "HS_NAMESPACE", data)])


def test_a_service_is_named_with_a_slash() -> None:
    assert str(decode_service(encode_service("0.SERV/Pumps"))) == "0.SERV/Pumps"
    for name, rule in (("not a handle", "has the form prefix/suffix"), ("/x", "prefix is empty")):
        assert rule in refused("HS_SERV", name.encode())
        with pytest.raises(InvalidValue):
            encode_service(name)
