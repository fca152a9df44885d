"""Names in the DNS and the identifiers they stand for; URLs as NAPTR records; cookies."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.dns import cookies
from protocol.dns.naptr import MAX_RECORDS, encode_answer, read_values, url_of
from protocol.dns.zones import (
    Labels,
    Zones,
    check_digit,
    identify,
    may_be_between,
    ons_zones,
    ors_zone,
    read_name,
)
from protocol.errors import IdnodeError, InvalidHandle
from protocol.identifier import Identifier
from protocol.values import HandleValue

ZONES = Zones.of(
    [
        ors_zone("", "88.118"),
        *ons_zones("gtin.gs1.id.onsepc.com=88.118.1,3.5.9.6.gtin.gs1.id.onsepc.com=88.118.2"),
    ]
)


def labels(text: str) -> Labels:
    return tuple(label.encode() for label in text.split("."))


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("7.4.35.118.88.oid-res.org", "88.118.35/4.7"),
        ("35.118.88.oid-res.org", "0.NA/88.118.35"),
        ("Sn-0001.35.118.88.OID-RES.org", "88.118.35/Sn-0001"),
        ("泵.35.118.88.oid-res.org", "88.118.35/泵"),
        # the example of the ONS standard, and one that a zone cut at its company has
        ("0.0.6.2.2.3.1.4.1.4.1.6.0.gtin.gs1.id.onsepc.com", "88.118.1/01/00614141322602"),
        ("9.1.0.0.0.0.0.0.0.3.5.9.6.gtin.gs1.id.onsepc.com", "88.118.2/01/96953000000013"),
    ],
)
def test_a_name_and_its_identifier(name: str, identifier: str) -> None:
    zone = ZONES.find(labels(name))
    assert zone is not None
    found = identify(zone, labels(name))
    assert found == Identifier.parse(identifier)
    back = ZONES.name_of(Identifier.parse(identifier))
    assert [label.upper() for label in back] == [label.upper() for label in labels(name)]


def test_a_gtin_whose_name_is_in_a_zone_of_another_prefix_has_none() -> None:
    gtin = "9695300000001"
    with pytest.raises(InvalidHandle, match="has no name in the DNS"):
        ZONES.name_of(Identifier.parse(f"88.118.1/01/{gtin}{check_digit(gtin)}"))


@pytest.mark.parametrize(
    "name",
    [
        "x35.118.88.oid-res.org",
        "7.x.118.88.oid-res.org",
        "1234567890.118.88.oid-res.org",
        "a/b.35.118.88.oid-res.org",
        "\u202e.35.118.88.oid-res.org",
        "0.0.6.2.2.3.1.4.1.4.1.6.0.0.gtin.gs1.id.onsepc.com",
        "x.0.6.2.2.3.1.4.1.4.1.6.0.gtin.gs1.id.onsepc.com",
        "00.6.2.2.3.1.4.1.4.1.6.0.gtin.gs1.id.onsepc.com",
    ],
)
def test_a_name_that_stands_for_nothing(name: str) -> None:
    zone = ZONES.find(labels(name))
    assert zone is not None
    assert identify(zone, labels(name)) is None
    assert not may_be_between(zone, labels(name))


def test_a_label_with_a_dot_or_bytes_that_are_no_text_stand_for_nothing() -> None:
    zone = next(one for one in ZONES.zones if one.system == "ors")
    for label in (b"a.b", b"\xff", b"\0"):
        assert identify(zone, (label, b"35", *zone.apex)) is None


def test_a_part_of_a_gtin_is_between_names() -> None:
    for name in ("1.6.0.gtin.gs1.id.onsepc.com", "0.3.5.9.6.gtin.gs1.id.onsepc.com"):
        zone = ZONES.find(labels(name))
        assert zone is not None
        assert identify(zone, labels(name)) is None
        assert may_be_between(zone, labels(name))


@pytest.mark.parametrize("name", ["oid-res.org", "88.oid-res.org", "id.onsepc.com", "org", "8118"])
def test_a_name_outside_of_all_zones(name: str) -> None:
    assert ZONES.find(labels(name)) is None


@pytest.mark.parametrize(
    "identifier",
    [
        "88.119.35/1",
        "88.118/1",
        "88.118.35.7/1",
        "88.118.35/a..b",
        "88.118.35/.a",
        "88.118.35/a/b",
        "88.118.35/" + "x" * 64,
        "88.118.35/" + ".".join(["x" * 50] * 4 + ["y" * 40]),
        "88.118.1/01/00614141322603",
    ],
)
def test_an_identifier_without_a_name_says_so(identifier: str) -> None:
    with pytest.raises(InvalidHandle, match="has no name in the DNS"):
        ZONES.name_of(Identifier.parse(identifier))


_PARTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="./"),
    min_size=1,
    max_size=12,
).filter(lambda text: len(text.encode()) <= 63)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(0, 999_999_999), st.lists(_PARTS, min_size=1, max_size=6))
def test_every_name_leads_back_to_its_identifier(number: int, parts: list[str]) -> None:
    try:
        identifier = Identifier.parse(f"88.118.{number}/{'.'.join(parts)}")
        name = ZONES.name_of(identifier)
    except IdnodeError:
        return
    zone = ZONES.find(name)
    assert zone is not None
    assert identify(zone, name) == identifier


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("gtin.gs1.id.onsepc.com", "zone=prefix"),
        ("onsepc.com=88.118.1", "gtin.gs1.id"),
        ("x.gtin.gs1.id.onsepc.com=88.118.1", "gtin.gs1.id"),
        (".".join("1" * 13) + ".gtin.gs1.id.onsepc.com=88.118.1", "at most 12 digits"),
        ("gtin.gs1.id.onsepc.com=pumps", "no prefix"),
        ("gtin.gs1.id..com=88.118.1", "not a name"),
    ],
)
def test_a_wrong_ons_zone_names_the_rule(text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=re.escape(rule)):
        ons_zones(text)


def test_zones_of_one_name_and_names_that_are_too_long_are_refused() -> None:
    with pytest.raises(ValueError, match="one name"):
        Zones.of(ons_zones("gtin.gs1.id.a=88.118.1,GTIN.gs1.id.A.=88.118.2"))
    with pytest.raises(ValueError, match="longer than 255"):
        read_name(".".join(["x" * 63] * 4))


@pytest.mark.parametrize(("digits", "check"), [("0061414132260", "2"), ("629104150021", "3")])
def test_check_digit(digits: str, check: str) -> None:
    assert check_digit(digits) == check


def url(data: bytes, index: int = 1, type_: str = "URL", ttl: int = 60) -> HandleValue:
    return HandleValue(index, type_, data, ttl=ttl)


def test_urls_become_records_in_the_order_of_their_indexes() -> None:
    values = [
        url(b"https://b.example/", 7, "URL.rinf", ttl=30),
        HandleValue(3, "EMAIL", b"a@b"),
        url(b"https://a.example/", 2),
        url(b"https://c.example/", 9, "URL.mirror"),
    ]
    found = read_values(values, "ors", 0)
    assert [(one.preference, one.service, one.regexp) for one in found.records] == [
        (10, "ORS+UINF", "!^.*$!https://a.example/!"),
        (20, "ORS+RINF", "!^.*$!https://b.example/!"),
        (30, "ORS+UINF", "!^.*$!https://c.example/!"),
    ]
    assert (found.ttl, found.lasting) == (30, True)
    ons = read_values([url(b"http://a/"), url(b"http://b/", 2, "URL.epcis")], "ons", 0)
    assert [one.service for one in ons.records] == [
        "http://www.gs1.org/ons/product_information",
        "http://www.gs1.org/ons/epcis",
    ]


@pytest.mark.parametrize(
    "data",
    [b"", b"no uri", b"https://a/\n", b"https://a/ b", b"\xff", b"x:" + b"y" * 250, b"x:!|#~,;"],
)
def test_what_is_no_uri_or_fits_in_no_record_is_left_out(data: bytes) -> None:
    found = read_values([url(data), url(b"https://a.example/", 2)], "ors", 0)
    assert [one.regexp for one in found.records] == ["!^.*$!https://a.example/!"]
    assert read_values([url(data)], "ors", 0).records == ()


@pytest.mark.parametrize(
    "text", ["https://a/!x", "https://a/!|x", "x:\\1", "urn:oid:1.2", "https://泵/"]
)
def test_a_record_gives_the_url_back(text: str) -> None:
    (record,) = read_values([url(text.encode())], "ors", 0).records
    assert url_of(record.regexp) == text
    expression, replacement = record.regexp[1:-1].split(record.regexp[0])
    assert re.sub(expression, replacement, "88.118.35/x", count=1) == text, "as RFC 3402 reads it"


def test_records_are_bounded_and_a_ttl_that_ends_counts_down() -> None:
    many = [url(b"x:y", index) for index in range(1, 100)]
    assert len(read_values(many, "ors", 0).records) == MAX_RECORDS
    ends = HandleValue(1, "URL", b"x:y", ttl=1000, ttl_absolute=True)
    for now, left in ((900.5, 100), (1000, 0), (2000, 0)):
        found = read_values([ends], "ors", now)
        assert (found.ttl, found.lasting) == (left, False)


def test_the_answer_section_on_the_wire() -> None:
    found = read_values([url(b"x:y")], "ors", 0)
    assert (
        encode_answer(found.records, found.ttl)
        == bytes.fromhex("c00c 0023 0001 0000003c 001b 0064 000a 01 55")
        + b"\x08ORS+UINF"
        + b"\x0a!^.*$!x:y!"
        + b"\0"
    )


# RFC 9018 appendix A
SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
CLIENT = bytes.fromhex("2464c4abcf10c957")
ADDRESS = bytes((198, 51, 100, 100))


def test_the_cookie_of_the_standard() -> None:
    stamp = (1559731985).to_bytes(4, "big")
    made = cookies.make(CLIENT, ADDRESS, SECRET, stamp)
    assert made.hex() == "010000005cf79f111f8130c3eee29480"


def test_a_cookie_is_taken_from_its_client_alone_and_for_its_time() -> None:
    now = 1_559_731_985
    first = cookies.judge(CLIENT, ADDRESS, SECRET, now)
    assert not first.proved
    assert first.answer.startswith(CLIENT)
    assert cookies.judge(first.answer, ADDRESS, SECRET, now + 1800) == cookies.Judged(
        True, first.answer
    )
    renewed = cookies.judge(first.answer, ADDRESS, SECRET, now + 1801)
    assert renewed.proved
    assert renewed.answer != first.answer
    for cookie, address, secret, at in (
        (first.answer, bytes((198, 51, 100, 101)), SECRET, now),
        (first.answer, ADDRESS, bytes(16), now),
        (first.answer, ADDRESS, SECRET, now + 3601),
        (first.answer, ADDRESS, SECRET, now - 301),
        (first.answer[:-1] + bytes((first.answer[-1] ^ 1,)), ADDRESS, SECRET, now),
        (bytes(8) + first.answer[8:], ADDRESS, SECRET, now),
        (first.answer[:16], ADDRESS, SECRET, now),
    ):
        assert not cookies.judge(cookie, address, secret, at).proved
    assert cookies.judge(b"", ADDRESS, SECRET, now) == cookies.NONE


def test_siphash_of_its_authors() -> None:
    # the first and the last of the vectors of the reference implementation
    key = bytes(range(16))
    assert cookies.siphash24(b"", key).hex() == "310e0edd47db6f72"
    assert cookies.siphash24(bytes(range(63)), key).hex() == "724506eb4c328a95"
