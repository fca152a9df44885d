"""What our client asks, and which messages it takes for an answer."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from protocol import typed
from protocol.errors import IdnodeError, ProtocolError, ResponseCode
from protocol.handle.header import SERIAL_UNKNOWN, OpCode, OpFlag
from protocol.handle.message import Message, decode_message, reply
from protocol.handle.responses import (
    Challenge,
    EmptyResponse,
    ErrorResponse,
    ReferralResponse,
    ResolutionResponse,
)
from protocol.identifier import Identifier
from protocol.values import HandleValue
from resolver.client.exchange import (
    NO_REQUEST,
    Asking,
    check_answer,
    read_answer,
    read_json,
)
from resolver.client.site import choose, server_number
from resolver.client.steps import Endpoint

PUMP = Identifier.parse("88.118.35/Pump")
VALUE = HandleValue(index=1, type="URL", data=b"https://pumps.example/")
ASKING = Asking(PUMP, request_id=7, now=1_800_000_000, types=("URL",), indexes=(3,))
REQUEST = decode_message(ASKING.message().encode())


def answered(code: int = ResponseCode.SUCCESS, body: object = None) -> Message:
    body = body or ResolutionResponse(str(PUMP), (VALUE,))
    made = reply(REQUEST, body, expiration=1, site_serial=1, code=code)  # type: ignore[arg-type]
    return decode_message(made.encode())


def test_request_is_that_of_a_client_which_does_not_know_the_site() -> None:
    assert str(REQUEST.envelope.version) == "2.3"
    assert REQUEST.envelope.request_id == 7
    assert REQUEST.envelope.message_length == len(ASKING.message().encode()) - 20
    assert REQUEST.header.site_serial == SERIAL_UNKNOWN
    assert REQUEST.header.expiration == 1_800_000_000 + 43_200
    assert (REQUEST.body.handle, REQUEST.body.types) == ("88.118.35/Pump", ("URL",))


def test_answer_with_its_own_request_id_and_op_code_is_taken() -> None:
    check_answer(REQUEST, answered())
    check_answer(REQUEST, answered(ResponseCode.HANDLE_NOT_FOUND, ErrorResponse("none")))


@pytest.mark.parametrize("own", [False, True])
def test_answer_to_another_request_is_refused(own: bool) -> None:
    answer = answered()
    other = replace(answer, envelope=replace(answer.envelope, request_id=8))
    with pytest.raises(ProtocolError) as caught:
        check_answer(REQUEST, other, own_connection=own)
    assert caught.value.field == "request_id"
    other = replace(answer, header=replace(answer.header, op_code=OpCode.GET_SITE_INFO))
    with pytest.raises(ProtocolError) as caught:
        check_answer(REQUEST, other, own_connection=own)
    assert caught.value.field == "op_code"
    with pytest.raises(ProtocolError, match="is a request"):
        check_answer(REQUEST, REQUEST, own_connection=own)


def test_error_without_a_request_id_counts_only_where_nothing_else_was_asked() -> None:
    answer = answered(ResponseCode.PROTOCOL_ERROR, ErrorResponse())
    lost = replace(answer, envelope=replace(answer.envelope, request_id=NO_REQUEST))
    check_answer(REQUEST, lost, own_connection=True)
    with pytest.raises(ProtocolError):
        check_answer(REQUEST, lost)
    found = replace(answered(), envelope=replace(answer.envelope, request_id=NO_REQUEST))
    with pytest.raises(ProtocolError):
        check_answer(REQUEST, found, own_connection=True)


def test_answer_with_the_digest_of_another_request_is_refused() -> None:
    asking = replace(ASKING, flags=ASKING.flags | OpFlag.REQUEST_DIGEST)
    request = decode_message(asking.message().encode())
    body = ResolutionResponse(str(PUMP), (VALUE,))
    answer = decode_message(reply(request, body, expiration=1, site_serial=1).encode())
    check_answer(request, answer)
    with pytest.raises(ProtocolError) as caught:
        check_answer(REQUEST, answer)
    assert caught.value.field == "digest"


def test_answers_are_read_alike_from_messages_and_from_json() -> None:
    answer = read_answer(answered())
    assert (answer.code, answer.handle, answer.values) == (1, str(PUMP), (VALUE,))
    assert read_json(answer.to_json()) == answer
    lost = read_answer(answered(ResponseCode.HANDLE_NOT_FOUND, ErrorResponse("not here")))
    assert lost.to_json() == {"responseCode": 100, "message": "not here"}
    assert read_json(lost.to_json()) == lost
    referral = read_answer(answered(ResponseCode.SERVICE_REFERRAL, ReferralResponse("", (VALUE,))))
    assert (referral.code, referral.values) == (302, (VALUE,))
    challenge = answered(ResponseCode.AUTHENTICATION_NEEDED, Challenge(bytes(16)))
    assert read_answer(challenge).code == ResponseCode.AUTHENTICATION_NEEDED


def test_what_is_no_answer_to_a_resolution_is_refused() -> None:
    odd = replace(answered(), body=EmptyResponse())
    with pytest.raises(ProtocolError):
        read_answer(odd)
    for body in (None, [], {}, {"responseCode": "1"}, {"responseCode": 1, "values": 3}):
        with pytest.raises(IdnodeError):
            read_json(body)


def interface(protocol: str, port: int, *, query: bool = True) -> dict[str, object]:
    return {"query": query, "admin": True, "protocol": protocol, "port": port}


def site(*addresses: str, **more: object) -> HandleValue:
    servers = [
        {
            "serverId": number,
            "address": address,
            "interfaces": [interface("TCP", 9, query=False), interface("UDP", 2641)],
        }
        for number, address in enumerate(addresses, 1)
    ]
    return HandleValue(1, "HS_SITE", typed.site_from_json({"servers": servers, **more}))


def test_server_is_chosen_by_the_hash_that_the_site_names() -> None:
    # The reference implementation's own numbers, of its class SiteInfo.
    known = Identifier.parse("88.118.1/abc")
    assert [server_number(known, option, 1 << 40) for option in range(3)] == [
        396_343_450,
        891_676_978,
        1_809_001_144,
    ]
    chinese = Identifier.parse("88.118.1/中文")
    assert server_number(chinese, 2, 1 << 40) == 975_588_748
    number = int.from_bytes(hashlib.md5(PUMP.key.encode()).digest()[-4:], "big", signed=True)
    addresses = ("192.0.2.1", "192.0.2.2", "2001:db8::3")
    expected = Endpoint("udp", addresses[abs(number) % 3], 2641)
    assert choose([site(*addresses)], PUMP, "udp") == expected


def test_site_that_does_not_answer_this_way_is_passed_over() -> None:
    broken = HandleValue(1, "HS_SITE", b"\0")
    other = HandleValue(2, "URL", site("192.0.2.9").data)
    assert choose([broken, other, site(), site("192.0.2.1")], PUMP, "udp") == Endpoint(
        "udp", "192.0.2.1", 2641
    )
    assert choose([site("192.0.2.1")], PUMP, "tcp") is None, "an interface for administration"
    assert choose([site("192.0.2.1")], PUMP, "http") is None


def test_endpoints_are_written_as_urls() -> None:
    assert str(Endpoint("tcp", "2001:db8::3", 2641)) == "tcp://[2001:db8::3]:2641"
