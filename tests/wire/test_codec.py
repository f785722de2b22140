from __future__ import annotations

import gc
import random
import sys
import tracemalloc
import weakref
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_bytes import KEY, LIMIT, PROTOCOLS, WRITERS, chunk, decode, messages, pyro4_bytes, pyro5_bytes, split

from captures.load import Exchange, load
from pyronym.errors import Header, MessageTooLargeError, ProtocolError, SecurityError
from pyronym.wire.codec import Decoder, encode
from pyronym.wire.message import PYRO4, PYRO5, Message, MessageType

UNSUPPORTED = "^invalid data or unsupported protocol version"
HEADER_SIZES = {PYRO4: 24, PYRO5: 40}

both = pytest.mark.parametrize("protocol", PROTOCOLS)


def message(protocol: int, data: bytes = b"data") -> Message:
    return Message(protocol, MessageType.INVOKE, 1, 0, 7, data)


def refusal(*pieces: bytes, hmac_key: bytes | None = None, limit: int = LIMIT) -> ProtocolError | SecurityError:
    """The error that a stream ends with."""
    with pytest.raises((ProtocolError, SecurityError)) as caught:
        decode(*pieces, hmac_key=hmac_key, limit=limit)
    return caught.value


# Round trips


@given(
    stream=st.sampled_from(PROTOCOLS).flatmap(lambda protocol: st.lists(messages(protocol), min_size=1, max_size=4)),
    signed=st.booleans(),
    compress=st.booleans(),
    cuts=st.sets(st.integers(1, 2000), max_size=8),
)
def test_messages_are_read_as_they_were_written(
    stream: list[Message], signed: bool, compress: bool, cuts: set[int]
) -> None:
    hmac_key = KEY if signed and stream[0].protocol == PYRO4 else None
    wire = b"".join(encode(message, limit=LIMIT, hmac_key=hmac_key, compress=compress) for message in stream)
    assert decode(*split(wire, cuts), hmac_key=hmac_key) == stream


@both
def test_an_empty_message_is_only_a_header(protocol: int) -> None:
    empty = message(protocol, b"")
    wire = encode(empty, limit=0)
    assert len(wire) == HEADER_SIZES[protocol]
    assert decode(wire, limit=0) == [empty]


@both
def test_unknown_flags_and_reserved_bytes_of_a_peer_are_ignored(protocol: int) -> None:
    wire = WRITERS[protocol](flags=0xFF80, reserved=0xFFFF)
    assert decode(wire) == [message(protocol)]


@both
def test_bits_that_are_no_flag_are_not_written(protocol: int) -> None:
    assert encode(message(protocol)._replace(flags=0xFF82), limit=LIMIT) == WRITERS[protocol]()


@both
def test_serializer_ids_are_passed_on_as_they_are(protocol: int) -> None:
    assert decode(WRITERS[protocol](serializer_id=42))[0].serializer_id == 42


# What is known while bytes are still missing


@both
def test_a_half_sent_message_gives_no_message(protocol: int) -> None:
    wire = WRITERS[protocol]()
    for size in range(len(wire)):
        decoder = Decoder(limit=LIMIT)
        decoder.feed(wire[:size])
        assert decoder.next_message() is None
        assert decoder.buffered == size
        assert decoder.protocol == (protocol if size >= 6 else None)


@both
def test_buffered_counts_the_bytes_of_messages_not_asked_for(protocol: int) -> None:
    wire = WRITERS[protocol]()
    decoder = Decoder(limit=LIMIT)
    decoder.feed(3 * wire + wire[:10])
    decoder.next_message()
    assert decoder.buffered == 2 * len(wire) + 10


@both
def test_what_was_fed_is_not_kept_when_all_its_messages_were_given(protocol: int) -> None:
    wire = WRITERS[protocol](bytes(100))
    references = sys.getrefcount(wire)
    decoder = Decoder(limit=LIMIT)
    decoder.feed(wire)
    assert decoder.next_message() is not None
    assert sys.getrefcount(wire) == references


@both
def test_messages_are_read_from_what_was_fed_without_a_copy_of_the_rest(protocol: int) -> None:
    wire = WRITERS[protocol](bytes(200_000))
    decoder = Decoder(limit=LIMIT)
    tracemalloc.start()
    try:
        decoder.feed(wire)
        message = decoder.next_message()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert message is not None
    assert 200_000 <= peak < 250_000


# Not a message


@pytest.mark.parametrize(
    "wire", [b"\x16\x03\x01\x02\x00\x01", b"\x15\x03\x03\x00\x02\x02\x28"], ids=["handshake", "alert"]
)
def test_a_peer_that_speaks_tls_is_recognised(wire: bytes) -> None:
    words = (
        "invalid data or unsupported protocol version: the peer speaks TLS (SSL must be on at both ends, or at none)"
    )
    assert str(refusal(wire)) == words


@pytest.mark.parametrize("wire", [b"G", b"PX", b"PYR\x00", b"GET / HTTP/1.1\r\n", b"\x16\x04\x01\x02\x00\x01"])
def test_wrong_first_bytes_are_refused_at_once(wire: bytes) -> None:
    problem = refusal(wire)
    assert isinstance(problem, ProtocolError)
    assert str(problem).startswith(f"invalid data or unsupported protocol version: a message begins with {wire[:6]!r}")
    assert problem.header is None
    assert problem.version is None


@both
def test_wrong_first_bytes_after_a_message_are_refused_at_once(protocol: int) -> None:
    with pytest.raises(ProtocolError, match=UNSUPPORTED):
        decode(WRITERS[protocol]() + b"Q")


@pytest.mark.parametrize("version", [0, 46, 47, 49, 501, 503, 0xFFFF])
def test_an_unknown_version_is_named_as_soon_as_its_six_bytes_have_come(version: int) -> None:
    problem = refusal(b"PYRO" + version.to_bytes(2, "big"))
    assert isinstance(problem, ProtocolError)
    assert str(problem) == (
        "invalid data or unsupported protocol version: the peer speaks version "
        f"{version} (expected 48, that of Pyro4, or 502, that of Pyro5)"
    )
    assert problem.version == version
    assert problem.header is None


@pytest.mark.parametrize("versions", [(48, 502), (502, 48), (48, 47)])
def test_the_version_may_not_change_within_a_connection(versions: tuple[int, int]) -> None:
    first, second = versions
    decoder = Decoder(limit=LIMIT)
    decoder.feed(WRITERS[first]() + b"PYRO" + second.to_bytes(2, "big"))
    assert decoder.next_message() is not None
    with pytest.raises(ProtocolError, match=f"{UNSUPPORTED}: .* changed from version {first} to {second}") as caught:
        decoder.next_message()
    assert caught.value.version == second
    assert decoder.protocol == first


@both
@pytest.mark.parametrize("kind", [0, 7, 255])
def test_an_unknown_message_type_is_refused_from_the_header(protocol: int, kind: int) -> None:
    wire = WRITERS[protocol](kind=kind, serializer_id=3, sequence=12)
    problem = refusal(wire[: HEADER_SIZES[protocol]])
    assert type(problem) is ProtocolError
    assert str(problem) == f"invalid msg type {kind} received (expected 1 to 6)"
    assert problem.header == Header(protocol, kind, 3, 12)


# After an error


@both
def test_an_error_is_raised_again_by_every_later_call(protocol: int) -> None:
    decoder = Decoder(limit=LIMIT)
    decoder.feed(WRITERS[protocol](kind=9))
    problems = []
    for _ in range(3):
        with pytest.raises(ProtocolError) as caught:
            decoder.next_message()
        problems.append(caught.value)
    assert {(type(problem), str(problem), problem.header) for problem in problems} == {
        (ProtocolError, "invalid msg type 9 received (expected 1 to 6)", Header(protocol, 9, 1, 7))
    }


@pytest.mark.parametrize("calls", [1, 3])
def test_a_refused_message_does_not_wait_for_the_garbage_collector(calls: int) -> None:
    gc.disable()
    try:
        decoder = Decoder(limit=LIMIT)
        decoder.feed(pyro4_bytes(kind=9))
        for _ in range(calls):
            with suppress(ProtocolError):
                decoder.next_message()
        reference = weakref.ref(decoder)
        del decoder
        assert reference() is None
    finally:
        gc.enable()


@both
def test_a_peer_that_sends_on_after_an_error_fills_no_memory(protocol: int) -> None:
    decoder = Decoder(limit=LIMIT)
    decoder.feed(WRITERS[protocol](kind=9) + bytes(1000))
    with pytest.raises(ProtocolError):
        decoder.next_message()
    decoder.feed(bytes(1000))
    assert decoder.buffered == 0


@both
def test_messages_before_an_error_are_still_given(protocol: int) -> None:
    decoder = Decoder(limit=LIMIT)
    decoder.feed(WRITERS[protocol]() + b"garbage")
    assert decoder.next_message() == message(protocol)
    with pytest.raises(ProtocolError, match=UNSUPPORTED):
        decoder.next_message()


# Limits


@both
def test_annotations_and_data_together_may_be_as_large_as_the_limit(protocol: int) -> None:
    chunks = chunk(protocol, b"LABX", b"1234")
    wire = WRITERS[protocol](bytes(100), chunks=chunks)
    size = 100 + len(chunks)
    assert len(decode(wire, limit=size)) == 1
    problem = refusal(wire, limit=size - 1)
    assert type(problem) is MessageTooLargeError
    assert str(problem).startswith(f"max message size exceeded ({size} where max={size - 1})")
    assert problem.header == Header(protocol, 4, 1, 7)


@both
@pytest.mark.parametrize("data_length", [LIMIT + 1, 0x7FFFFFFF])
def test_an_announced_size_over_the_limit_is_refused_from_the_header(protocol: int, data_length: int) -> None:
    header = WRITERS[protocol](b"", data_length=data_length)
    decoder = Decoder(limit=LIMIT)
    tracemalloc.start()
    try:
        decoder.feed(header)
        with pytest.raises(
            MessageTooLargeError, match=rf"^max message size exceeded \({data_length} where max={LIMIT}\)"
        ):
            decoder.next_message()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50_000


def test_four_gigabytes_of_pyro5_annotations_are_refused_from_the_header() -> None:
    wire = pyro5_bytes(b"", data_length=0xFFFFFFFF, annotations_length=0xFFFFFFFF)
    with pytest.raises(MessageTooLargeError, match=r"^max message size exceeded \(8589934590 where max=1048576\)"):
        decode(wire)


@both
def test_an_announced_size_within_the_limit_takes_no_memory_until_it_comes(protocol: int) -> None:
    decoder = Decoder(limit=1 << 30)
    tracemalloc.start()
    try:
        decoder.feed(WRITERS[protocol](b"some", data_length=1 << 30))
        assert decoder.next_message() is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50_000


@both
def test_no_message_over_the_limit_is_written(protocol: int) -> None:
    small = Message(protocol, MessageType.RESULT, 1, 0, 1, bytes(100), {"LABX": b"1234"})
    size = 100 + len(chunk(protocol, b"LABX", b"1234"))
    assert decode(encode(small, limit=size), limit=size) == [small]
    with pytest.raises(MessageTooLargeError, match=rf"^max message size exceeded \({size} where max={size - 1}\)"):
        encode(small, limit=size - 1)


@both
def test_the_limit_of_what_is_written_is_that_of_the_plain_data(protocol: int) -> None:
    # The reader's limit holds for what it decompresses to: a smaller form on the wire would only be refused there.
    with pytest.raises(MessageTooLargeError, match=r"^max message size exceeded \(5000 where max=4999\)"):
        encode(message(protocol, bytes(5000)), limit=4999, compress=True)


# What cannot be written


@pytest.mark.parametrize(
    "wrong",
    [
        Message(PYRO4, MessageType.PING, 0x10000, 0, 0, b""),
        Message(PYRO5, MessageType.PING, 0x100, 0, 0, b""),
        Message(PYRO4, MessageType.PING, 1, 0, 0x10000, b""),
        Message(PYRO5, MessageType.PING, 1, 0, -1, b""),
    ],
    ids=["serializer id of Pyro4", "serializer id of Pyro5", "sequence over 65535", "negative sequence"],
)
def test_numbers_that_do_not_fit_their_field_are_refused(wrong: Message) -> None:
    with pytest.raises(ProtocolError, match=f"^message does not fit protocol {wrong.protocol}: .*serializer id"):
        encode(wrong, limit=LIMIT)


@both
def test_a_message_that_is_too_large_is_told_so_before_its_numbers_are_looked_at(protocol: int) -> None:
    with pytest.raises(MessageTooLargeError):
        encode(message(protocol, bytes(100))._replace(sequence=0x10000), limit=99)


def test_a_protocol_that_does_not_exist_cannot_be_written() -> None:
    with pytest.raises(ProtocolError, match=r"^unknown protocol 47 \(expected 48 or 502\)"):
        encode(message(47), limit=LIMIT)


@both
@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_correlation_id_of_a_wrong_size_cannot_be_written(protocol: int, size: int) -> None:
    with pytest.raises(ProtocolError, match=f"^correlation id of {size} bytes"):
        encode(message(protocol)._replace(correlation=bytes(size)), limit=LIMIT)


# Compression


@both
def test_data_is_compressed_only_when_asked_for(protocol: int) -> None:
    plain = message(protocol, bytes(5000))
    assert len(encode(plain, limit=LIMIT)) > 5000
    compressed = encode(plain, limit=LIMIT, compress=True)
    assert len(compressed) < 200
    assert decode(compressed) == [plain]


@pytest.mark.parametrize(("protocol", "size"), [(PYRO4, 199), (PYRO5, 100)])
def test_data_below_the_stock_threshold_is_not_compressed(protocol: int, size: int) -> None:
    below, above = message(protocol, bytes(size)), message(protocol, bytes(size + 1))
    assert encode(below, limit=LIMIT, compress=True) == encode(below, limit=LIMIT)
    assert len(encode(above, limit=LIMIT, compress=True)) < len(encode(above, limit=LIMIT)) - 50


@both
def test_data_that_compression_would_enlarge_is_sent_as_it_is(protocol: int) -> None:
    noise = message(protocol, random.Random(1).randbytes(1000))
    assert encode(noise, limit=LIMIT, compress=True) == encode(noise, limit=LIMIT)


# Any bytes at all


def drain(wire: bytes, hmac_key: bytes | None) -> None:
    """Read until the end or until an error that is documented."""
    decoder = Decoder(limit=2000, hmac_key=hmac_key)
    decoder.feed(wire)
    with suppress(ProtocolError, SecurityError):
        while (message := decoder.next_message()) is not None:
            assert len(message.data) <= 2000


@given(st.sampled_from([b"", b"PYRO", b"PYRO\x00\x30", b"PYRO\x01\xf6"]), st.binary(max_size=200))
@settings(max_examples=150)
def test_arbitrary_bytes_give_messages_or_documented_errors(start: bytes, rest: bytes) -> None:
    drain(start + rest, None)


@given(
    exchange=st.sampled_from([exchange for protocol in PROTOCOLS for exchange in load(protocol)]),
    changes=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), min_size=1, max_size=4),
    signed=st.booleans(),
)
@settings(max_examples=150)
def test_captured_messages_with_changed_bytes_give_messages_or_documented_errors(
    exchange: Exchange, changes: list[tuple[int, int]], signed: bool
) -> None:
    wire = bytearray(exchange.wire)
    for place, value in changes:
        wire[place % len(wire)] = value
    drain(bytes(wire), KEY if signed else None)


@given(
    protocol=st.sampled_from(PROTOCOLS),
    chunks=st.binary(max_size=60),
    data=st.binary(max_size=60),
    flags=st.integers(0, 0xFFFF),
    signed=st.booleans(),
)
@settings(max_examples=150)
def test_any_payload_under_a_good_header_gives_messages_or_documented_errors(
    protocol: int, chunks: bytes, data: bytes, flags: int, signed: bool
) -> None:
    drain(WRITERS[protocol](data, chunks=chunks, flags=flags), KEY if signed else None)


# Work grows with the bytes, not with their square: nothing is copied again for each message or each piece


@both
def test_small_messages_in_one_large_piece_are_read_where_they_are(protocol: int) -> None:
    piece = WRITERS[protocol]() * 1000
    decoder = Decoder(limit=LIMIT)
    decoder.feed(piece)
    for number in range(1000):
        assert decoder._buffer is piece, number
        assert decoder.next_message() is not None
    assert decoder.buffered == 0


def test_a_large_message_in_small_pieces_grows_in_one_buffer() -> None:
    wire = pyro4_bytes(bytes(1 << 20))
    decoder = Decoder(limit=1 << 20)
    buffers = []
    for piece in split(wire, range(0, len(wire), 1024)):
        assert decoder.next_message() is None
        decoder.feed(piece)
        buffers.append(decoder._buffer)
    assert len({id(buffer) for buffer in buffers[2:]}) == 1
    assert isinstance(buffers[-1], bytearray)
    message = decoder.next_message()
    assert message is not None
    assert len(message.data) == 1 << 20
