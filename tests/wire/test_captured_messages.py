"""Everything that stock peers were recorded to say must be read as they read it, and written as they write it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_bytes import FLAGS, LIMIT, PROTOCOLS, decode, split

from captures.load import Exchange, load
from pyronym.errors import ProtocolError
from pyronym.wire.codec import encode
from pyronym.wire.message import PYRO4, PYRO5, Message, MessageType


def as_stock_reads_it(protocol: int, exchange: Exchange) -> Message:
    expected = exchange.expected
    assert expected is not None
    return Message(
        protocol,
        MessageType(expected.type),
        expected.serializer_id,
        sum(FLAGS[name] for name in expected.flags),
        expected.sequence,
        expected.data,
        expected.annotations,
        expected.correlation,
    )


@dataclass(frozen=True)
class Stream:
    """All that one side of a connection said."""

    name: str
    wire: bytes
    messages: list[Message]
    hmac_key: bytes | None


@cache
def readable(protocol: int) -> list[Exchange]:
    return [exchange for exchange in load(protocol) if exchange.expected is not None]


@cache
def streams(protocol: int) -> list[Stream]:
    sides: defaultdict[tuple[str, str, str], list[Exchange]] = defaultdict(list)
    for exchange in readable(protocol):
        sides[exchange.scenario, exchange.serializer, exchange.direction].append(exchange)
    return [
        Stream(
            ", ".join(name),
            b"".join(exchange.wire for exchange in side),
            [as_stock_reads_it(protocol, exchange) for exchange in side],
            side[0].expected.hmac_key if side[0].expected else None,
        )
        for name, side in sides.items()
    ]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_captured_message_says_what_the_stock_peer_reads(protocol: int) -> None:
    for exchange in readable(protocol):
        assert exchange.expected is not None
        expected = [as_stock_reads_it(protocol, exchange)]
        assert decode(exchange.wire, hmac_key=exchange.expected.hmac_key) == expected, str(exchange)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_captured_stream_may_come_byte_by_byte(protocol: int) -> None:
    for stream in streams(protocol):
        pieces = split(stream.wire, range(len(stream.wire)))
        assert decode(*pieces, hmac_key=stream.hmac_key) == stream.messages, stream.name


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_many_captured_messages_may_come_in_one_piece(protocol: int) -> None:
    unsigned = [stream for stream in streams(protocol) if stream.hmac_key is None]
    glued = b"".join(stream.wire for stream in unsigned)
    assert decode(glued) == [message for stream in unsigned for message in stream.messages]


@given(stream=st.sampled_from(streams(PYRO4) + streams(PYRO5)), cuts=st.sets(st.integers(1, 4000), max_size=20))
def test_a_captured_stream_may_be_split_anywhere(stream: Stream, cuts: set[int]) -> None:
    assert decode(*split(stream.wire, cuts), hmac_key=stream.hmac_key) == stream.messages


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_captured_message_is_written_as_the_stock_peer_writes_it(protocol: int) -> None:
    for exchange in readable(protocol):
        expected = exchange.expected
        assert expected is not None
        message = as_stock_reads_it(protocol, exchange)
        written = encode(message, limit=LIMIT, hmac_key=expected.hmac_key, compress=expected.compressed)
        if expected.compressed:  # other builds of zlib may find other bytes for the same
            assert len(written) < len(encode(message, limit=LIMIT, hmac_key=expected.hmac_key)), str(exchange)
            assert decode(written, hmac_key=expected.hmac_key) == [message], str(exchange)
        else:
            assert written == exchange.wire, str(exchange)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_the_stock_peer_refuses_to_read_is_refused(protocol: int) -> None:
    refused = [exchange for exchange in load(protocol) if exchange.expected is None]
    assert refused
    for exchange in refused:
        with pytest.raises(ProtocolError, match=r"^invalid data or unsupported protocol version") as caught:
            decode(exchange.wire)
        assert caught.value.version == 47


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_captures_hold_every_feature_of_the_protocol(protocol: int) -> None:
    expected = [exchange.expected for exchange in load(protocol) if exchange.expected is not None]
    assert {fields.type for fields in expected} == set(MessageType)
    assert {name for fields in expected for name in fields.flags} == {
        "EXCEPTION",
        "ONEWAY",
        "BATCH",
        "ITEM_STREAM",
        *(["METADATA"] if protocol == PYRO4 else []),
    }
    serializer_ids = set(range(1, 8 if protocol == PYRO4 else 5)) | {42}
    assert {fields.serializer_id for fields in expected} == serializer_ids
    assert any(fields.compressed for fields in expected)
    assert any(fields.annotations and fields.correlation for fields in expected)
    assert any(fields.hmac_key for fields in expected) == (protocol == PYRO4)
