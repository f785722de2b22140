"""The short way of plain calls writes what the codec writes, and takes only what the codec would read the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyronym.errors import PyroError
from pyronym.wire.codec import Decoder, encode
from pyronym.wire.message import PYRO4, PYRO5, Message, MessageType
from pyronym.wire.plain_calls import LONGEST, plain_ways

LIMIT = 1 << 20
ID = b"0123456789abcdef"
BOTH = pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
sequences = st.integers(0, 0xFFFF)
serializer_ids = st.integers(1, 7)
payloads = st.binary(max_size=100) | st.sampled_from([b"x" * 70, b"x" * (LONGEST - 1), b"x" * LONGEST])


def ways(protocol):
    found = plain_ways(protocol, LIMIT)
    assert found is not None
    return found


def result(protocol, sequence, serializer_id, payload):
    return encode(
        Message(protocol, MessageType.RESULT, serializer_id, 0, sequence, payload, correlation=ID), limit=LIMIT
    )


@BOTH
@given(sequences, serializer_ids, payloads)
def test_a_call_is_written_as_the_codec_writes_it(protocol, sequence, serializer_id, payload):
    message = Message(protocol, MessageType.INVOKE, serializer_id, 0, sequence, payload)
    assert ways(protocol)[0](sequence, serializer_id, payload) == encode(message, limit=LIMIT)


@BOTH
@given(sequences, serializer_ids, payloads)
def test_a_plain_result_is_read(protocol, sequence, serializer_id, payload):
    data = result(protocol, sequence, serializer_id, payload)
    assert ways(protocol)[1](sequence, serializer_id, data) == payload


@BOTH
def test_what_is_cut_off_followed_or_too_long_is_left_to_the_codec(protocol):
    read = ways(protocol)[1]
    data = result(protocol, 1, 1, b"payload")
    for other in (*(data[:cut] for cut in range(len(data))), data + b"P", data + data):
        assert read(1, 1, other) is None
    assert read(1, 1, result(protocol, 1, 1, b"x" * (LONGEST + 1))) is None


def test_a_negative_length_is_left_to_the_codec():
    # The header, its checksum included, says what is true of a payload of -1 bytes: that one byte is missing.
    data = bytearray(result(PYRO4, 1, 1, b""))[:-1]
    data[12:16] = (-1).to_bytes(4, "big", signed=True)
    data[22:24] = (int.from_bytes(data[22:24]) - 1).to_bytes(2)
    assert ways(PYRO4)[1](1, 1, bytes(data)) is None


@BOTH
def test_any_changed_byte_is_seen_but_those_of_the_correlation_id_and_payload(protocol):
    data = result(protocol, 1, 1, b"payload")
    ignored = set(range(data.index(ID), data.index(ID) + len(ID))) | set(range(len(data) - len(b"payload"), len(data)))
    for place in set(range(len(data))) - ignored:
        changed = bytearray(data)
        changed[place] ^= 0x40
        assert ways(protocol)[1](1, 1, bytes(changed)) is None, place


@BOTH
@given(st.data(), sequences, serializer_ids, st.binary(max_size=30))
def test_damaged_results_are_left_to_the_codec_or_read_as_it_reads_them(protocol, data, sequence, asked, payload):
    damaged = bytearray(result(protocol, sequence, asked, payload))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    found = ways(protocol)[1](sequence, asked, bytes(damaged))
    decoder = Decoder(limit=LIMIT)
    decoder.feed(bytes(damaged))
    try:
        message = decoder.next_message()
    except PyroError:
        message = None
    if found is not None:
        assert message is not None
        correlation = message.correlation
        assert message == Message(protocol, MessageType.RESULT, asked, 0, sequence, found, correlation=correlation)
        assert decoder.buffered == 0


@BOTH
def test_a_small_limit_needs_every_size_checked(protocol):
    assert plain_ways(protocol, LONGEST) is None
