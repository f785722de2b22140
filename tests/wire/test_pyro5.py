"""What only protocol 502 has: a magic number, a correlation id in the header, bits of its own, no signatures."""

from __future__ import annotations

import pytest
from wire_bytes import KEY, LIMIT, chunk, decode, pyro5_bytes

from pyronym.errors import Header, ProtocolError, SecurityError
from pyronym.wire.codec import encode
from pyronym.wire.message import PYRO5, Flag, Message, MessageType

CORRELATION = bytes(range(16))
MESSAGE = Message(PYRO5, MessageType.INVOKE, 1, 0, 7, b"data")


@pytest.mark.parametrize("magic", [0, 0x4DC4])
def test_a_wrong_magic_number_is_refused(magic: int) -> None:
    with pytest.raises(ProtocolError, match=f"^invalid magic number {magic:#06x} in the header") as caught:
        decode(pyro5_bytes(magic=magic))
    assert caught.value.header is None, "nothing in such a header can be relied on"


@pytest.mark.parametrize(
    ("bit", "flag"),
    [(1, Flag.EXCEPTION), (4, Flag.ONEWAY), (8, Flag.BATCH), (16, Flag.ITEM_STREAM), (32, Flag.KEEP_SERIALIZED)],
)
def test_each_flag_has_its_bit(bit: int, flag: int) -> None:
    wire = pyro5_bytes(flags=bit)
    (message,) = decode(wire)
    assert message.flags == flag
    assert encode(message, limit=LIMIT) == wire


def test_the_metadata_flag_has_no_bit_and_is_left_out() -> None:
    assert encode(MESSAGE._replace(flags=Flag.METADATA | Flag.BATCH), limit=LIMIT) == pyro5_bytes(flags=8)


def test_the_correlation_id_is_in_the_header_and_has_a_bit() -> None:
    wire = pyro5_bytes(flags=64, correlation=CORRELATION)
    message = MESSAGE._replace(correlation=CORRELATION)
    assert decode(wire) == [message]
    assert encode(message, limit=LIMIT) == wire


def test_a_correlation_id_without_its_bit_is_none() -> None:
    assert decode(pyro5_bytes(correlation=CORRELATION)) == [MESSAGE]


def test_a_correlation_id_of_zeros_is_one_when_its_bit_says_so() -> None:
    assert decode(pyro5_bytes(flags=64)) == [MESSAGE._replace(correlation=bytes(16))]


def test_annotations_may_be_larger_than_those_of_pyro4() -> None:
    message = MESSAGE._replace(annotations={"LABX": bytes(70_000)})
    wire = encode(message, limit=LIMIT)
    assert wire == pyro5_bytes(chunks=chunk(PYRO5, b"LABX", bytes(70_000)))
    assert decode(wire) == [message]


def test_the_names_that_pyro4_keeps_to_itself_are_ordinary_ones() -> None:
    message = MESSAGE._replace(annotations={"HMAC": b"1", "CORR": b"2"})
    assert decode(encode(message, limit=LIMIT)) == [message]


def test_a_message_is_refused_from_its_header_where_a_key_is_set() -> None:
    with pytest.raises(
        SecurityError, match=r"^hmac key config not symmetric: .* protocol 502 .* no signatures"
    ) as caught:
        decode(pyro5_bytes()[:40], hmac_key=KEY)
    assert caught.value.header == Header(PYRO5, 4, 1, 7)


def test_no_message_is_written_where_a_key_is_set() -> None:
    with pytest.raises(SecurityError, match=r"^hmac key config not symmetric: .* protocol 502 .* no signatures"):
        encode(MESSAGE, limit=LIMIT, hmac_key=KEY)
