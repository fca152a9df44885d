"""The Handle codec: what is written reads back, and no bytes at all make it fail otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from random import Random

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from protocol.errors import InvalidValue, ProtocolError, ResponseCode
from protocol.handle import challenge, jws, keys, session
from protocol.handle.admin import (
    AdminRecord,
    Permission,
    decode_admin,
    decode_value_list,
    encode_value_list,
)
from protocol.handle.credential import Credential
from protocol.handle.digest import Digest, DigestAlgorithm
from protocol.handle.envelope import Envelope, decode_envelope
from protocol.handle.fragment import Reassembly, cut
from protocol.handle.header import Header, OpCode, OpFlag
from protocol.handle.message import Message, decode_message, decode_payload, read_frame
from protocol.handle.requests import (
    ChallengeAnswer,
    ExchangeKeyRequest,
    HandleRequest,
    KeyExchange,
    LoginRequest,
    OpaqueBody,
    RemoveRequest,
    ResolutionRequest,
    SessionSetupRequest,
    ValuesRequest,
    VerifyRequest,
)
from protocol.handle.responses import (
    Challenge,
    CreateResponse,
    EmptyResponse,
    ErrorResponse,
    NamesResponse,
    ReferralResponse,
    ResolutionResponse,
    SessionSetupResponse,
    SiteResponse,
    VerifyResponse,
)
from protocol.handle.value import encode_value, read_value
from protocol.handle.version import LATEST, Version, negotiate
from protocol.handle.wire import MAX_MESSAGE_BYTES, Reader
from protocol.values import HandleValue, Reference
from tests.handle_vectors import Captured, all_captured, plain_messages

numbers = st.integers(0, 2**32 - 1)
octet = st.integers(0, 255)
octets = st.binary(max_size=40)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
references = st.builds(Reference, texts, numbers)
values = st.builds(
    HandleValue,
    index=numbers,
    type=texts,
    data=octets,
    ttl=numbers,
    ttl_absolute=st.booleans(),
    timestamp=numbers,
    permissions=octet,
    references=st.lists(references, max_size=3).map(tuple),
)
value_lists = st.lists(values, max_size=3).map(tuple)
indexes = st.lists(numbers, max_size=4).map(tuple)
sizes = {DigestAlgorithm.MD5: 16, DigestAlgorithm.SHA1: 20, DigestAlgorithm.SHA256: 32}
named_digests = st.sampled_from(list(sizes)).flatmap(
    lambda a: st.builds(Digest, st.just(a), st.binary(min_size=sizes[a], max_size=sizes[a]))
)
digests = named_digests | st.builds(
    Digest, st.just(DigestAlgorithm.UNNAMED), st.binary(max_size=32)
)
modes = st.sampled_from(KeyExchange)
versions = st.sampled_from([Version(2, minor) for minor in range(12)] + [Version(5, 0)])
envelopes = st.builds(
    Envelope,
    request_id=numbers,
    version=versions,
    suggested=st.none() | st.builds(Version, st.integers(1, 3), st.integers(0, 255)),
    session_id=numbers,
    compressed=st.booleans(),
    truncated=st.booleans(),
)
credentials = st.builds(
    Credential,
    type=st.sampled_from(["HS_SIGNED", "HS_MAC"]),
    algorithm=st.sampled_from(["SHA-256", "HMAC-SHA256", "\x02"]),
    signature=octets,
    counter=numbers,
    signer=texts,
)

handle_requests = st.builds(HandleRequest, texts)
values_requests = st.builds(ValuesRequest, texts, value_lists)
opaque = st.builds(OpaqueBody, octets)


@st.composite
def session_setups(draw: st.DrawFn) -> SessionSetupRequest:
    setup = SessionSetupRequest(draw(modes), draw(numbers), draw(texts), draw(numbers))
    if setup.mode is KeyExchange.HANDLE_CIPHER:
        return replace(setup, key_handle=draw(texts), key_index=draw(numbers))
    if setup.mode is KeyExchange.SERVER_CIPHER:
        return setup
    return replace(setup, public_key=draw(octets))


REQUESTS = {
    OpCode.RESOLUTION: st.builds(
        ResolutionRequest, texts, indexes, st.lists(texts, max_size=3).map(tuple)
    ),
    OpCode.GET_SITE_INFO: handle_requests,
    OpCode.CREATE_HANDLE: values_requests,
    OpCode.DELETE_HANDLE: handle_requests,
    OpCode.ADD_VALUE: values_requests,
    OpCode.REMOVE_VALUE: st.builds(RemoveRequest, texts, indexes),
    OpCode.MODIFY_VALUE: values_requests,
    OpCode.LIST_HANDLES: handle_requests,
    OpCode.CHALLENGE_ANSWER: st.builds(ChallengeAnswer, texts, texts, numbers, octets),
    OpCode.VERIFY_CHALLENGE: st.builds(VerifyRequest, texts, numbers, octets, digests, octets),
    OpCode.HOME_PREFIX: handle_requests,
    OpCode.UNHOME_PREFIX: handle_requests,
    OpCode.LIST_HOMED_PREFIXES: handle_requests,
    OpCode.SESSION_SETUP: session_setups(),
    OpCode.SESSION_TERMINATE: handle_requests,
    OpCode.SESSION_EXCHANGE_KEY: st.builds(ExchangeKeyRequest, octets),
    OpCode.GET_NEXT_TRANSACTION_ID: handle_requests,
    OpCode.RETRIEVE_TRANSACTION_LOG: opaque,
    OpCode.DUMP_HANDLES: opaque,
    OpCode.BACKUP_SERVER: handle_requests,
    OpCode.LOGIN: st.builds(LoginRequest, texts, numbers),
}
names = st.builds(NamesResponse, st.lists(texts, max_size=4).map(tuple))
empty = st.just(EmptyResponse())
SUCCESSES = {
    OpCode.RESOLUTION: st.builds(ResolutionResponse, texts, value_lists),
    OpCode.GET_SITE_INFO: st.builds(SiteResponse, octets),
    OpCode.CREATE_HANDLE: st.builds(CreateResponse, st.none() | texts),
    OpCode.DELETE_HANDLE: empty,
    OpCode.ADD_VALUE: empty,
    OpCode.REMOVE_VALUE: empty,
    OpCode.MODIFY_VALUE: empty,
    OpCode.LIST_HANDLES: names,
    OpCode.VERIFY_CHALLENGE: st.builds(VerifyResponse, st.booleans()),
    OpCode.HOME_PREFIX: empty,
    OpCode.UNHOME_PREFIX: empty,
    OpCode.LIST_HOMED_PREFIXES: names,
    OpCode.SESSION_SETUP: st.builds(SessionSetupResponse, modes, octets),
    OpCode.SESSION_TERMINATE: empty,
    OpCode.SESSION_EXCHANGE_KEY: empty,
    OpCode.GET_NEXT_TRANSACTION_ID: opaque,
    OpCode.RETRIEVE_TRANSACTION_LOG: opaque,
    OpCode.DUMP_HANDLES: opaque,
    OpCode.BACKUP_SERVER: empty,
    OpCode.LOGIN: empty,
}
REFERRALS = (ResponseCode.SERVICE_REFERRAL, ResponseCode.PREFIX_REFERRAL)
flags = st.integers(0, 2**32 - 1)


@st.composite
def requests(draw: st.DrawFn, op_codes: Sequence[OpCode] = tuple(REQUESTS)) -> Message:
    op_code = draw(st.sampled_from(op_codes))
    header = Header(op_code, draw(numbers), flags=draw(flags), recursion_count=draw(octet))
    return Message(
        draw(envelopes),
        header,
        draw(REQUESTS[op_code]),
        credential=draw(st.none() | credentials),
    )


@st.composite
def responses(
    draw: st.DrawFn,
    op_codes: Sequence[OpCode] = tuple(SUCCESSES),
    codes: Sequence[ResponseCode] = tuple(ResponseCode),
) -> Message:
    op_code, code = draw(st.sampled_from(op_codes)), draw(st.sampled_from(codes))
    envelope, digest = draw(envelopes), draw(st.none() | named_digests)
    if code == ResponseCode.SUCCESS:
        body = draw(SUCCESSES[op_code])
    elif code == ResponseCode.AUTHENTICATION_NEEDED:
        body = Challenge(draw(octets))
        if envelope.version.at_least(1):
            digest = draw(named_digests)
        else:
            digest = Digest(DigestAlgorithm.UNNAMED, draw(st.binary(max_size=32)))
    elif code in REFERRALS:
        body = draw(st.builds(ReferralResponse, texts, st.none() | value_lists))
    else:
        body = ErrorResponse(draw(texts))
    if not envelope.version.at_least(5):
        # These have no number of their own in old versions.
        assume(code not in (ResponseCode.INVALID_VALUE, ResponseCode.PREFIX_REFERRAL))
    with_digest = digest is not None and (
        code != ResponseCode.AUTHENTICATION_NEEDED or envelope.version.at_least(1)
    )
    flag = OpFlag.REQUEST_DIGEST
    head = Header(
        op_code,
        draw(numbers),
        response_code=code,
        flags=draw(flags) | flag if with_digest else draw(flags) & ~flag,
        site_serial=draw(st.integers(0, 0xFFFF)),
    )
    return Message(envelope, head, body, digest, draw(st.none() | credentials))


def _reads_back(message: Message) -> None:
    data = message.encode()
    read = decode_message(data)
    length = len(data) - 20
    assert read == replace(message, envelope=replace(message.envelope, message_length=length))
    assert read.encode() == data
    assert replace(read, received=b"").encode() == data


@pytest.mark.parametrize("op_code", OpCode)
@settings(max_examples=25)
@given(data=st.data())
def test_requests_read_back_as_they_were_written(op_code: OpCode, data: st.DataObject) -> None:
    _reads_back(data.draw(requests([op_code])))


@pytest.mark.parametrize("op_code", SUCCESSES)
@settings(max_examples=25)
@given(data=st.data())
def test_successes_read_back_as_they_were_written(op_code: OpCode, data: st.DataObject) -> None:
    _reads_back(data.draw(responses([op_code], [ResponseCode.SUCCESS])))


@given(responses())
def test_responses_of_all_codes_read_back_as_they_were_written(message: Message) -> None:
    _reads_back(message)


@given(requests() | responses(), st.data())
def test_messages_cut_short_are_refused(message: Message, data: st.DataObject) -> None:
    whole = message.encode()
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(ProtocolError):
        decode_message(part)
    assert read_frame(part) is None


@given(st.lists(requests(), min_size=1, max_size=4), st.data())
def test_a_stream_is_taken_apart_wherever_it_is_cut(
    messages: list[Message], data: st.DataObject
) -> None:
    stream = b"".join(message.encode() for message in messages)
    end = data.draw(st.integers(0, len(stream)))
    at, taken = 0, []
    while (frame := read_frame(stream[:end], at)) is not None:
        taken.append(decode_payload(*frame[:2]).body)
        at = frame[2]
    assert taken == [message.body for message in messages][: len(taken)]
    assert at <= end
    if end == len(stream):
        assert len(taken) == len(messages)


PLAIN = [one.envelope.encode() + one.payload for one, _ in plain_messages()]
mutations = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), octet), min_size=1, max_size=6)


@given(st.sampled_from(PLAIN), mutations, st.integers(-8, 8), st.booleans())
def test_mutated_messages_are_read_or_refused(
    original: bytes, changes: list[tuple[float, int]], grow: int, true_length: bool
) -> None:
    data = bytearray(original)
    for place, byte in changes:
        data[int(place * len(data))] = byte
    data = data[:grow] if grow < 0 else data + bytes(grow)
    if true_length:
        data[16:20] = (len(data) - 20).to_bytes(4, "big")
    _read_or_refuse(bytes(data))


@given(st.binary(max_size=300))
@example(bytes(19))
@example(bytes(20))
@example(bytes(44))
@example(b"\xff" * 64)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    _read_or_refuse(data)
    _read_or_refuse(Envelope(1, message_length=len(data)).encode() + data)


def _read_or_refuse(data: bytes) -> None:
    """Read; what can be read can be written, and means the same when read again."""
    try:
        message = decode_message(data)
    except ProtocolError:
        return
    assert data[20:].startswith(message.content)
    again = decode_message(replace(message, received=b"").encode())
    assert again.body == message.body
    assert again.digest == message.digest
    assert again.credential == message.credential


def _refusal(call: Callable[[], object]) -> ResponseCode | None:
    """Return the code with which `call` refuses; None where it does not."""
    try:
        call()
    except ProtocolError as error:
        return error.response_code
    return None


@given(st.sampled_from(all_captured()), octets, st.integers(1, 5))
def test_captured_payloads_with_other_lengths_are_refused(
    one: Captured, tail: bytes, extra: int
) -> None:
    assume(not one.envelope.encrypted)
    envelope, payload = one.envelope, one.payload
    with pytest.raises(ProtocolError):
        decode_payload(envelope, payload + bytes(extra) + tail)
    with pytest.raises(ProtocolError):
        decode_payload(envelope, payload[:-extra])


@given(values)
def test_values_read_back(value: HandleValue) -> None:
    reader = Reader(encode_value(value))
    assert read_value(reader) == value
    reader.end()


@given(
    st.binary(max_size=2000), st.randoms(use_true_random=False), st.sampled_from([491, 492, 493])
)
def test_fragments_make_the_message_in_any_order(payload: bytes, random: Random, size: int) -> None:
    for content in (payload, bytes(size)):
        datagrams = cut(Envelope(7, session_id=3), content, mark_truncated=True)
        assert all(len(datagram) == 512 for datagram in datagrams[:-1])
        assert len(datagrams[-1]) <= 512
        random.shuffle(datagrams)
        reassembly = Reassembly()
        whole = None
        for datagram in datagrams:
            assert whole is None
            whole = reassembly.add("peer", decode_envelope(datagram), datagram[20:], now=1.0)
        assert whole is not None
        assert whole[1] == content
        assert whole[0].message_length == len(content)
        assert (len(reassembly), reassembly.held) == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 5)), max_size=60))
def test_reassembly_stays_within_its_bounds(parts: list[tuple[int, int, int]]) -> None:
    reassembly = Reassembly(max_messages=5, max_bytes=4000, max_age=10)
    for source, request_id, number in parts:
        envelope = Envelope(request_id, sequence=number, message_length=6 * 492)
        reassembly.add(source, envelope, bytes(492), now=0)
        assert len(reassembly) <= 5
        assert reassembly.held <= 4000
    reassembly.expire(10)
    assert (len(reassembly), reassembly.held) == (0, 0)


@given(st.binary(max_size=200) | st.sampled_from([one.payload for one in all_captured()]))
def test_data_of_values_are_read_or_refused(data: bytes) -> None:
    for read in (keys.decode_public_key, jws.decode_jws, decode_admin, decode_value_list):
        try:
            read(data)
        except InvalidValue:
            continue


@given(st.binary(max_size=120), st.sampled_from([b"\x22\0\0\0\x10", b"\0\0\0\7SHA-256", b""]))
def test_answers_are_read_or_refused(answer: bytes, head: bytes) -> None:
    digest = Digest(DigestAlgorithm.SHA256, bytes(32))
    code = _refusal(
        lambda: _must_not_hold(
            challenge.verify_secret_answer(head + answer, bytes(16), digest, b"secret")
        )
    )
    assert code in (None, ResponseCode.AUTHENTICATION_FAILED)


def _must_not_hold(verdict: bool) -> None:
    assert not verdict


@given(st.binary(max_size=100), st.binary(min_size=32, max_size=32))
def test_encrypted_payloads_are_read_or_refused(data: bytes, key: bytes) -> None:
    assert _refusal(lambda: session.decrypt(key, data)) in (None, ResponseCode.SESSION_FAILED)
    assert session.decrypt(key, session.encrypt(key, bytes(16), data)) == data


@given(references, st.integers(0, 0xFFF))
def test_admin_records_read_back(admin: Reference, permissions: int) -> None:
    record = AdminRecord(admin, Permission(permissions))
    assert decode_admin(record.encode()) == record
    meaningless = bytes([record.encode()[0] | 0xF0]) + record.encode()[1:]
    assert decode_admin(meaningless) == record
    assert decode_admin(record.encode() + b"\0\0") == record
    with pytest.raises(InvalidValue):
        decode_admin(record.encode() + b"\0")


@given(st.lists(references, max_size=5))
def test_value_lists_read_back(entries: list[Reference]) -> None:
    assert list(decode_value_list(encode_value_list(entries))) == entries


@given(st.lists(st.integers(0, 700), max_size=300))
def test_no_counter_is_accepted_twice(counters: list[int]) -> None:
    window, accepted = session.ReplayWindow(), set[int]()
    for counter in counters:
        fresh = counter > 0 and counter not in accepted
        near = counter > max(accepted, default=0) - session.REPLAY_WINDOW
        refusal = _refusal(partial(window.accept, counter))
        assert refusal == (None if fresh and near else ResponseCode.MESSAGE_REJECTED)
        if refusal is None:
            window = window.accept(counter)
            accepted.add(counter)
        assert window.seen.bit_length() <= session.REPLAY_WINDOW


@given(versions)
def test_nobody_is_spoken_to_in_a_version_later_than_ours_or_theirs(version: Version) -> None:
    spoken = negotiate(version)
    assert LATEST.at_least(spoken.minor)
    assert not spoken.at_least(LATEST.minor) or version.at_least(LATEST.minor)
    assert negotiate(Version(3, 0)) == LATEST


def test_the_longest_message_is_written_and_a_longer_one_is_not() -> None:
    room = MAX_MESSAGE_BYTES - 24 - 4
    message = Message(Envelope(1), Header(OpCode.DUMP_HANDLES, 0), OpaqueBody(bytes(room)))
    assert len(message.encode()) == 20 + MAX_MESSAGE_BYTES
    with pytest.raises(ProtocolError) as refused:
        replace(message, body=OpaqueBody(bytes(room + 1))).encode()
    assert refused.value.response_code == ResponseCode.ERROR
