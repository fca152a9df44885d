"""Handle JSON: every value reads back as it was, and every bad one is refused by its field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import json_api, typed
from protocol.errors import InvalidValue
from protocol.values import (
    MAX_DATA_BYTES,
    MAX_INDEX,
    MAX_TTL,
    HandleValue,
    Reference,
    check_values,
    select,
)

texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=40)
references = st.builds(
    Reference,
    st.sampled_from(["0.NA/88.118", "88.118.35/admin"]),
    st.integers(0, MAX_INDEX),
)
_admin = st.builds(
    lambda permissions, handle, index: typed.admin_from_json(
        {"handle": handle, "index": index, "permissions": f"{permissions:012b}"}
    ),
    st.integers(0, 0xFFF),
    texts,
    st.integers(0, MAX_INDEX),
)
_vlist = st.lists(st.builds(lambda h, i: {"handle": h, "index": i}, texts, st.integers(0, 9))).map(
    typed.vlist_from_json
)
_sites = st.builds(
    lambda servers, attributes, serial, primary, option: typed.site_from_json(
        {
            "serialNumber": serial,
            "primarySite": primary,
            "hashOption": option,
            "attributes": [{"name": name, "value": value} for name, value in attributes.items()],
            "servers": servers,
        }
    ),
    st.lists(
        st.builds(
            lambda number, address, key, ports: {
                "serverId": number,
                "address": str(address),
                **({"publicKey": {"format": "base64", "value": key}} if key else {}),
                "interfaces": [
                    {"query": True, "admin": port % 2 == 0, "protocol": "UDP", "port": port}
                    for port in ports
                ],
            },
            st.integers(0, 100),
            st.ip_addresses(),
            st.sampled_from(["", "AAEC"]),
            st.lists(st.integers(0, 65535), max_size=3),
        ),
        max_size=3,
    ),
    st.dictionaries(texts, texts, max_size=2),
    st.integers(0, 0xFFFF),
    st.booleans(),
    st.integers(0, 2),
)
typed_data = st.one_of(
    st.tuples(st.just("HS_ADMIN"), _admin),
    st.tuples(st.just("HS_VLIST"), _vlist),
    st.tuples(st.just("HS_SITE"), _sites),
    st.tuples(st.sampled_from(["URL", "EMAIL", "HS_ADMIN", "HS_SITE"]), st.binary(max_size=60)),
    st.tuples(st.sampled_from(["URL", "名称"]), texts.map(lambda text: (text + "\0").encode())),
)
values = st.builds(
    lambda index, data, ttl, absolute, stamp, permissions, refs: HandleValue(
        index, data[0], data[1], ttl, absolute, stamp, permissions, tuple(refs)
    ),
    st.integers(1, MAX_INDEX),
    typed_data,
    st.integers(0, MAX_TTL),
    st.booleans(),
    st.integers(0, 4_000_000_000),
    st.integers(0, 15),
    st.lists(references, max_size=2),
)


@given(values)
def test_a_value_reads_back_as_it_was(value: HandleValue) -> None:
    written = json.loads(json.dumps(json_api.encode_value(value)))
    assert json_api.decode_value(written) == value


@given(values)
def test_what_is_stored_holds_no_nul_which_postgresql_would_refuse(value: HandleValue) -> None:
    written = json.dumps(json_api.encode_value(value)["data"])
    assert "\\u0000" not in written.replace("\\\\", ""), "an escape, not a text that looks like one"


@given(values, st.text(max_size=20))
def test_an_answer_is_json_with_the_handle_as_it_was_asked(value: HandleValue, asked: str) -> None:
    if not asked.isprintable():
        return
    body = json.loads(json_api.answer(asked, [value]))
    assert list(body) == ["responseCode", "handle", "values"]
    assert body["handle"] == asked
    assert json_api.decode_values(body["values"]) == (value,)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "index",
                    "type",
                    "data",
                    "format",
                    "value",
                    "ttl",
                    "permissions",
                    "references",
                    "x",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(junk)
def test_any_json_is_a_list_of_values_or_a_clear_refusal(value: object) -> None:
    try:
        check_values(json_api.decode_values(value))
    except InvalidValue as error:
        place = error.field
    else:
        return
    assert place is not None
    assert place.startswith("values")


GOOD: dict[str, Any] = {"index": 1, "type": "URL", "data": {"format": "string", "value": "x"}}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"index": None}, "values[0].index"),
        ({"index": 0}, "values[0].index"),
        ({"index": True}, "values[0].index"),
        ({"index": MAX_INDEX + 1}, "values[0].index"),
        ({"type": ""}, "values[0].type"),
        ({"type": "A B"}, "values[0].type"),
        ({"type": 7}, "values[0].type"),
        ({"data": None}, "values[0].data"),
        ({"data": {"format": "string"}}, "values[0].data.value"),
        ({"data": {"format": "rot13", "value": "x"}}, "values[0].data.format"),
        ({"data": {"format": "base64", "value": "?"}}, "values[0].data.value"),
        ({"data": {"format": "hex", "value": "abc"}}, "values[0].data.value"),
        ({"data": {"format": "string", "value": "\ud800"}}, "values[0].data.value"),
        ({"data": {"format": "string", "value": "x", "charset": "gbk"}}, "values[0].data.charset"),
        ({"data": {"format": "string", "value": "x" * (MAX_DATA_BYTES + 1)}}, "values[0].data"),
        ({"data": {"format": "admin", "value": {"handle": "h"}}}, "values[0].data.index"),
        ({"ttl": -1}, "values[0].ttl"),
        ({"ttl": "tomorrow"}, "values[0].ttl"),
        ({"ttl": 1.5}, "values[0].ttl"),
        ({"permissions": "111"}, "values[0].permissions"),
        ({"references": [{"handle": "88.118/x"}]}, "values[0].references[0]"),
        ({"references": [{"handle": "", "index": 1}]}, "values[0].references[0].handle"),
        ({"colour": "red"}, "values[0].colour"),
    ],
)
def test_a_bad_value_is_refused_with_the_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidValue) as raised:
        check_values(json_api.decode_values([GOOD | change]))
    assert raised.value.field == field


def test_two_values_with_one_index_are_refused() -> None:
    with pytest.raises(InvalidValue, match=r"stands at values\[0\]") as raised:
        check_values(json_api.decode_values([GOOD, GOOD]))
    assert raised.value.field == "values[1].index"


def test_a_bare_string_is_taken_as_data() -> None:
    assert json_api.decode_value(GOOD | {"data": "x"}) == json_api.decode_value(GOOD)


def _of(*types: str) -> list[HandleValue]:
    return [HandleValue(n, type_, b"") for n, type_ in enumerate(types, 1)]


@pytest.mark.parametrize(
    ("types", "indexes", "wanted"),
    [
        ([], [], [1, 2, 3, 4]),
        (["url"], [], [1]),
        (["URL."], [], [1, 2]),
        (["EMAIL"], [1], [1, 3]),
        (["NONE"], [], []),
        ([], [0], []),
        (["URLX"], [], [4]),
    ],
)
def test_values_are_chosen_by_type_or_index(
    types: list[str], indexes: list[int], wanted: list[int]
) -> None:
    chosen = select(_of("URL", "URL.mirror", "EMAIL", "URLX"), types, indexes)
    assert [value.index for value in chosen] == wanted


# What CNRI's Handle.Net 9.2.0 server was seen to send on loopback, and what it means.
REFERENCE_DATA = [
    (
        "HS_ADMIN",
        "0fff0000000d302e4e412f38382e3131382e31000000c8",
        {"handle": "0.NA/88.118.1", "index": 200, "permissions": "111111111111"},
    ),
    (
        "HS_VLIST",
        "000000020000000d302e4e412f38382e3131382e310000012c"
        "0000000d302e4e412f38382e3131382e310000012d",
        [{"handle": "0.NA/88.118.1", "index": 300}, {"handle": "0.NA/88.118.1", "index": 301}],
    ),
]


@pytest.mark.parametrize(("type_", "octets", "meaning"), REFERENCE_DATA)
def test_bytes_of_the_reference_server_mean_what_it_says(
    type_: str, octets: str, meaning: object
) -> None:
    structured = typed.to_json(type_, bytes.fromhex(octets))
    assert structured is not None
    assert structured[1] == meaning
    assert typed.from_json(*structured) == bytes.fromhex(octets)
