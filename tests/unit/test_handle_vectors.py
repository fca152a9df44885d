"""The codec against what the reference client and server said to each other, byte for byte.

Seven of the 170 messages are encrypted with keys that nobody wrote down: of those only the
envelope and the frame can be checked. All others are read and written to the same bytes.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from protocol import typed
from protocol.errors import ResponseCode
from protocol.handle import challenge, session
from protocol.handle.admin import ALL_PERMISSIONS, decode_admin, decode_value_list
from protocol.handle.credential import MAC, SIGNED, verify_message
from protocol.handle.digest import digest_request
from protocol.handle.fragment import cut
from protocol.handle.header import DEFAULT_FLAGS, OpCode, OpFlag
from protocol.handle.keys import decode_public_key, encode_public_key
from protocol.handle.message import Message, refuse, reply
from protocol.handle.requests import ChallengeAnswer, ResolutionRequest, SessionSetupRequest
from protocol.handle.responses import (
    Challenge,
    ErrorResponse,
    NamesResponse,
    SessionSetupResponse,
    SiteResponse,
)
from protocol.handle.version import COMPATIBLE
from protocol.values import HandleValue
from tests.handle_vectors import (
    CASE_NAMES,
    CASES,
    Captured,
    all_captured,
    captured,
    known_keys,
    plain_messages,
)

_READ = {"index", "timestamp", "ttlType", "ttl", "permissions", "type", "data_hex", "references"}
OPERATOR = ("0.NA/88.118.1", 300)

# 402 and the like: an answer to a request that came before the last one.
Pair = tuple[Message, Message, Captured | None]


def test_the_capture_is_whole() -> None:
    assert len(CASES) == 68
    assert len(all_captured()) == 170
    encrypted = {one.case for one in all_captured() if one.envelope.encrypted}
    assert encrypted == {
        "resolve-authenticated-restricted",
        "encsession-create",
        "encsession-delete",
    }


@pytest.mark.parametrize("case", CASES, ids=CASE_NAMES)
def test_each_message_is_written_to_the_bytes_it_was_read_from(case: dict[str, Any]) -> None:
    for one in captured(case):
        if one.envelope.encrypted:
            assert len(one.payload) % 16 == 0
            assert len(one.payload) >= session.IV_BYTES + 16
            assert one.datagrams in ((), (one.envelope.encode() + one.payload,))
            continue
        message = one.message()
        afresh = replace(message, received=b"")
        assert afresh.encode_payload() == one.payload
        assert message.encode_payload() == one.payload
        if one.datagrams:
            again = cut(message.envelope, one.payload, mark_truncated=one.from_client)
            assert tuple(again) == one.datagrams
        else:
            assert afresh.encode() == one.envelope.encode() + one.payload


@pytest.mark.parametrize("case", CASES, ids=CASE_NAMES)
def test_each_message_means_what_another_decoder_read(case: dict[str, Any]) -> None:
    for one in captured(case):
        if one.envelope.encrypted:
            continue
        message, head, body = one.message(), one.read["header"], one.read["body"]
        header = message.header
        assert (header.op_code, header.response_code) == (head["opCode"], head["responseCode"])
        assert int(header.flags) == int(head["opFlags"], 16)
        assert header.site_serial == head["siteInfoSerial"]
        assert header.expiration == head["expiration"]
        if "handle" in body:
            assert message.body.handle == body["handle"]
        if "values" in body:
            read = [{k: v for k, v in entry.items() if k in _READ} for entry in body["values"]]
            assert [_as_read(value) for value in message.body.values] == read
        if header.is_request and header.op_code == OpCode.RESOLUTION:
            assert list(message.body.indexes) == body["indexes"]
            assert list(message.body.types) == body["types"]
        if isinstance(message.body, NamesResponse):
            assert len(message.body.names) == body["count"]
            assert list(message.body.names[:5]) == body["handles"][:5]
        if isinstance(message.body, ErrorResponse):
            assert message.body.message == body["errorMessage"]
        if isinstance(message.body, Challenge):
            assert message.body.nonce.hex() == body["nonce"]
        if message.digest is not None:
            assert message.digest.value.hex() == body["requestDigest"]
        if message.credential is not None:
            read = one.read["credential"]
            assert message.credential.type == read["type"]
            assert message.credential.algorithm == read["digestAlgorithm"]
            assert message.credential.signature.hex() == read["signature_hex"]
            assert message.credential.counter == read["signerIndexOrSessionCounter"]


def _as_read(value: HandleValue) -> dict[str, Any]:
    return {
        "index": value.index,
        "timestamp": value.timestamp,
        "ttlType": int(value.ttl_absolute),
        "ttl": value.ttl,
        "permissions": value.permissions,
        "type": value.type,
        "data_hex": value.data.hex(),
        "references": [{"handle": r.handle, "index": r.index} for r in value.references],
    }


def _pairs() -> list[Pair]:
    """Return requests with their responses, and the challenge answer that came between."""
    pairs: list[Pair] = []
    for case in CASES:
        asked: dict[int, Message] = {}
        answer: Captured | None = None
        last: Message | None = None
        for one in captured(case):
            if one.envelope.encrypted:
                continue
            message = one.message()
            if not one.from_client:
                answered = (
                    answer
                    if answer and answer.envelope.request_id == (message.envelope.request_id)
                    else None
                )
                request = last if answered else asked.get(message.envelope.request_id)
                if request is not None:
                    pairs.append((request, message, answered))
            elif isinstance(message.body, ChallengeAnswer):
                answer = one
            else:
                asked[message.envelope.request_id] = last = message
    return pairs


def test_responses_are_headed_as_the_reference_server_heads_them() -> None:
    pairs = _pairs()
    assert len(pairs) > 70
    for request, response, answered in pairs:
        made = reply(
            request,
            response.body,
            expiration=response.header.expiration,
            site_serial=1,
            code=response.header.response_code,
            session_id=response.envelope.session_id,
            answered=answered.envelope if answered else None,
        )
        if response.header.flags & OpFlag.CONTINUOUS:
            header = replace(made.header, flags=made.header.flags | OpFlag.CONTINUOUS)
            made = replace(made, header=header)
        made = replace(made, credential=response.credential)
        # The reference server repeats the truncated flag of a fragmented request in an answer
        # that is whole; ours does not.
        envelope = replace(response.envelope, message_length=0, truncated=False)
        assert made == replace(response, envelope=envelope)
        assert made.encode_payload() == response.encode_payload()


def test_request_digests_are_those_of_the_reference_server() -> None:
    checked = 0
    for request, response, _ in _pairs():
        if response.digest is not None:
            assert digest_request(response.envelope.version, request.content) == response.digest
            checked += 1
    assert checked == 17


def test_signatures_of_the_server_verify_with_the_key_of_its_site() -> None:
    (site,) = {m.body.site for _, m in plain_messages() if isinstance(m.body, SiteResponse)}
    view = typed.site_to_json(site)
    key = decode_public_key(base64.b64decode(view["servers"][0]["publicKey"]["value"]))
    signed = [m for _, m in plain_messages() if m.credential and m.credential.type == SIGNED]
    assert len(signed) == 8
    for message in signed:
        assert message.credential is not None
        arguments = message.credential, message.envelope, message.content
        assert verify_message(*arguments, key)
        changed = message.content[:-1] + bytes((message.content[-1] ^ 1,))
        assert not verify_message(message.credential, message.envelope, changed, key)
        elsewhere = replace(message.envelope, request_id=message.envelope.request_id ^ 1)
        assert not verify_message(message.credential, elsewhere, message.content, key)
        assert not verify_message(*arguments, known_keys()[OPERATOR])


def _answers(type_: str) -> list[tuple[str, bytes, Message]]:
    """Return case, answer and the challenge that it answers."""
    result = []
    for case in CASES:
        question: Message | None = None
        for one in captured(case):
            if one.envelope.encrypted:
                continue
            message = one.message()
            if isinstance(message.body, Challenge):
                question = message
            elif isinstance(message.body, ChallengeAnswer) and message.body.type == type_:
                assert question is not None
                assert message.envelope.session_id == question.envelope.session_id
                result.append((one.case, message.body.answer, question))
    return result


def test_challenge_answers_verify_with_the_public_key_of_their_identity() -> None:
    key = known_keys()[OPERATOR]
    answers = _answers("HS_PUBKEY")
    assert [case for case, _, _ in answers] == [
        "create-pubkey",
        "list-handles-88.118.1",
        "list-nas",
        "session-create",
    ]
    for _, answer, question in answers:
        assert isinstance(question.body, Challenge)
        assert question.digest is not None
        assert challenge.verify_key_answer(answer, question.body.nonce, question.digest, key)
        other = bytes(16)
        assert not challenge.verify_key_answer(answer, other, question.digest, key)


def test_secret_answers_are_read_and_refused_with_another_secret() -> None:
    # The secret itself is not in the capture; tests/unit/test_handle_challenge.py makes its own.
    answers = _answers("HS_SECKEY")
    assert [case for case, _, _ in answers] == ["create-seckey", "create-wrong-secret"]
    for _, answer, question in answers:
        assert isinstance(question.body, Challenge)
        assert question.digest is not None
        nonce, digest = question.body.nonce, question.digest
        assert not challenge.verify_secret_answer(answer, nonce, digest, b"another")
        salt = answer[5:21]
        own = challenge.answer_with_secret(
            question.envelope.version, nonce, digest, b"another", salt
        )
        assert own[:-20] == answer[:-20], "same form, salt, iterations and key length"
        assert own[-20:] != answer[-20:]


def test_session_keys_are_of_group_2_and_are_written_as_they_were() -> None:
    setups = 0
    for _, message in plain_messages():
        if isinstance(message.body, SessionSetupRequest):
            key = session.read_client_key(message.body.public_key)
            assert (key.prime, key.generator) == session.GROUP_2
            assert encode_public_key(key) == message.body.public_key
            assert message.body.timeout == 86_400
            setups += 1
        elif isinstance(message.body, SessionSetupResponse):
            key = session.read_server_key(message.body.data)
            assert (key.prime, key.generator) == session.GROUP_2
            assert session.encode_server_key(key) == message.body.data
            setups += 1
    assert setups == 12


def test_counters_of_each_session_count_up_from_one() -> None:
    counters: dict[int, list[int]] = {}
    for one, message in plain_messages():
        if message.credential is not None and message.credential.type == MAC:
            assert one.from_client
            counters.setdefault(message.envelope.session_id, []).append(message.credential.counter)
    assert set(counters) == {3, 4, 5, 6, 9}
    for numbers in counters.values():
        window = session.ReplayWindow()
        for number in numbers:
            window = window.accept(number)
        assert numbers == sorted(numbers)
        assert numbers[0] == 1


def test_public_keys_are_written_as_they_were() -> None:
    for _, message in plain_messages():
        for value in getattr(message.body, "values", ()):
            if value.type == "HS_PUBKEY":
                assert encode_public_key(decode_public_key(value.data)) == value.data


def test_admin_records_and_value_lists_are_written_as_they_were() -> None:
    found = set()
    for _, message in plain_messages():
        for value in getattr(message.body, "values", ()):
            found.add(value.type)
            if value.type == "HS_ADMIN":
                record = decode_admin(value.data)
                assert record.encode() == value.data
                assert record.permissions == ALL_PERMISSIONS
            elif value.type == "HS_VLIST":
                assert [r.index for r in decode_value_list(value.data)] == [300, 301]
    assert {"HS_ADMIN", "HS_VLIST"} <= found


def test_what_cannot_be_read_is_refused_as_by_the_reference_server() -> None:
    refusals = [
        (one, message)
        for one, message in plain_messages()
        if message.envelope.request_id == 0xFFFFFFFF
    ]
    assert len(refusals) == 3
    for one, message in refusals:
        assert message.envelope.version == COMPATIBLE
        made = refuse(
            message.body,
            code=ResponseCode.PROTOCOL_ERROR,
            op_code=OpCode.GET_NEXT_TRANSACTION_ID,
            request_id=0xFFFFFFFF,
            expiration=message.header.expiration,
        )
        assert (made.encode(),) == one.datagrams


def test_requests_have_the_flags_of_the_reference_client() -> None:
    (request,) = [m for one, m in plain_messages() if one.case == "resolve-udp-ABC"][:1]
    assert request.header.flags == DEFAULT_FLAGS
    assert request.body == ResolutionRequest("88.118.1/ABC")
