"""What only protocol 48 has: a checksum, signatures, a correlation id among the annotations, small annotations."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from wire_bytes import KEY, LIMIT, chunk, decode, messages, pyro4_bytes

from pyronym.errors import Header, ProtocolError, SecurityError
from pyronym.wire.codec import encode
from pyronym.wire.message import PYRO4, Flag, Message, MessageType

CORRELATION = bytes(range(16))
NOT_SYMMETRIC = "^hmac key config not symmetric: "
MISMATCH = "^message hmac mismatch: "


def signature(key: bytes, *parts: bytes) -> bytes:
    return hmac.new(key, b"".join(parts), hashlib.sha1).digest()


def signed_chunk(key: bytes, *parts: bytes) -> bytes:
    return chunk(PYRO4, b"HMAC", signature(key, *parts))


# The header


@pytest.mark.parametrize("checksum", [0, 0xFFFF])
def test_a_wrong_checksum_is_refused(checksum: int) -> None:
    with pytest.raises(ProtocolError, match=r"^header checksum mismatch: ") as caught:
        decode(pyro4_bytes(checksum=checksum))
    assert caught.value.header is None, "nothing in such a header can be relied on"


def test_the_checksum_keeps_to_sixteen_bits() -> None:
    largest = Message(PYRO4, MessageType.PING, 0xFFFF, 0, 0xFFFF, b"")
    assert encode(largest, limit=0) == pyro4_bytes(b"", kind=6, serializer_id=0xFFFF, sequence=0xFFFF)


@pytest.mark.parametrize("data_length", [-1, -(2**31)])
def test_a_negative_data_length_is_refused(data_length: int) -> None:
    with pytest.raises(ProtocolError, match=f"^negative data length in the header: {data_length}$") as caught:
        decode(pyro4_bytes(b"", data_length=data_length))
    assert caught.value.header == Header(PYRO4, 4, 1, 7)


def test_negative_data_with_large_annotations_does_not_pass_as_small() -> None:
    chunks = chunk(PYRO4, b"LABX", bytes(500))
    with pytest.raises(ProtocolError, match=r"^negative data length"):
        decode(pyro4_bytes(b"", chunks=chunks, data_length=-500), limit=100)


@pytest.mark.parametrize(
    ("bit", "flag"),
    [
        (1, Flag.EXCEPTION),
        (4, Flag.ONEWAY),
        (8, Flag.BATCH),
        (16, Flag.METADATA),
        (32, Flag.ITEM_STREAM),
        (64, Flag.KEEP_SERIALIZED),
    ],
)
def test_each_flag_has_its_bit(bit: int, flag: int) -> None:
    wire = pyro4_bytes(flags=bit)
    (message,) = decode(wire)
    assert message.flags == flag
    assert encode(message, limit=LIMIT) == wire


# The correlation id


def test_the_correlation_id_is_the_last_annotation_before_the_signature() -> None:
    message = Message(PYRO4, MessageType.INVOKE, 1, 0, 7, b"data", {"LABX": b"x", "AAAA": b"a"}, CORRELATION)
    values = chunk(PYRO4, b"LABX", b"x") + chunk(PYRO4, b"AAAA", b"a") + chunk(PYRO4, b"CORR", CORRELATION)
    assert encode(message, limit=LIMIT) == pyro4_bytes(chunks=values)
    by_name = b"a", CORRELATION, b"x"
    assert encode(message, limit=LIMIT, hmac_key=KEY) == pyro4_bytes(
        chunks=values + signed_chunk(KEY, b"data", *by_name)
    )


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"CORR", CORRELATION)],
        [(b"CORR", CORRELATION), (b"LABX", b"x")],
        [(b"LABX", b"x"), (b"CORR", CORRELATION)],
        [(b"CORR", bytes(16)), (b"CORR", CORRELATION)],
    ],
    ids=["alone", "first", "last", "twice"],
)
def test_the_correlation_id_is_found_wherever_it_stands(chunks: list[tuple[bytes, bytes]]) -> None:
    (message,) = decode(pyro4_bytes(chunks=b"".join(chunk(PYRO4, name, value) for name, value in chunks)))
    assert message.correlation == CORRELATION
    assert message.annotations == {name.decode(): value for name, value in chunks if name != b"CORR"}


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_correlation_id_that_is_no_uuid_is_refused(size: int) -> None:
    with pytest.raises(ProtocolError, match=f"^annotation CORR holds {size} bytes") as caught:
        decode(pyro4_bytes(chunks=chunk(PYRO4, b"CORR", bytes(size))))
    assert caught.value.header == Header(PYRO4, 4, 1, 7)


@pytest.mark.parametrize("name", ["HMAC", "CORR"])
def test_annotations_may_not_take_the_names_of_the_protocol(name: str) -> None:
    message = Message(PYRO4, MessageType.INVOKE, 1, 0, 7, b"data", {name: CORRELATION})
    with pytest.raises(ProtocolError, match=r"^annotation names HMAC and CORR belong to protocol 48 itself"):
        encode(message, limit=LIMIT)


# The size of annotations


def test_annotations_of_65535_bytes_fit() -> None:
    message = Message(PYRO4, MessageType.INVOKE, 1, 0, 7, b"data", {"LABX": bytes(0xFFFF - 6)})
    assert decode(encode(message, limit=LIMIT)) == [message]


@pytest.mark.parametrize(
    "annotations",
    [{"LABX": bytes(0xFFFF - 5)}, {"LABX": bytes(70_000)}, {"LABX": bytes(40_000), "LABY": bytes(40_000)}],
)
def test_larger_annotations_do_not(annotations: dict[str, bytes]) -> None:
    message = Message(PYRO4, MessageType.INVOKE, 1, 0, 7, b"data", annotations)
    size = sum(6 + len(value) for value in annotations.values())
    with pytest.raises(ProtocolError, match=f"^annotations of {size} bytes do not fit protocol 48"):
        encode(message, limit=LIMIT)


# Signatures


@given(messages(PYRO4), st.binary(min_size=1), st.binary(min_size=1))
def test_a_message_signed_with_another_key_is_refused(message: Message, ours: bytes, theirs: bytes) -> None:
    assume(ours.rstrip(b"\0") != theirs.rstrip(b"\0"))  # HMAC pads keys with zeros
    wire = encode(message, limit=LIMIT, hmac_key=theirs)
    with pytest.raises(SecurityError, match=MISMATCH) as caught:
        decode(wire, hmac_key=ours)
    assert caught.value.header == Header(PYRO4, message.type, message.serializer_id, message.sequence)


def test_changed_data_is_refused() -> None:
    chunks = signed_chunk(KEY, b"data")
    assert len(decode(pyro4_bytes(chunks=chunks), hmac_key=KEY)) == 1
    with pytest.raises(SecurityError, match=MISMATCH):
        decode(pyro4_bytes(b"Data", chunks=chunks), hmac_key=KEY)


def test_a_changed_annotation_is_refused() -> None:
    signed = signed_chunk(KEY, b"data", b"safe")
    assert len(decode(pyro4_bytes(chunks=chunk(PYRO4, b"LABX", b"safe") + signed), hmac_key=KEY)) == 1
    with pytest.raises(SecurityError, match=MISMATCH):
        decode(pyro4_bytes(chunks=chunk(PYRO4, b"LABX", b"evil") + signed), hmac_key=KEY)


def test_an_added_annotation_is_refused() -> None:
    chunks = chunk(PYRO4, b"LABX", b"evil") + signed_chunk(KEY, b"data")
    with pytest.raises(SecurityError, match=MISMATCH):
        decode(pyro4_bytes(chunks=chunks), hmac_key=KEY)


@pytest.mark.parametrize("size", [0, 19, 21])
def test_a_signature_of_a_wrong_size_is_refused(size: int) -> None:
    chunks = chunk(PYRO4, b"HMAC", (signature(KEY, b"data") + b"\0")[:size])
    with pytest.raises(SecurityError, match=MISMATCH):
        decode(pyro4_bytes(chunks=chunks), hmac_key=KEY)


def test_the_signature_may_stand_anywhere_among_the_annotations() -> None:
    chunks = signed_chunk(KEY, b"data", b"a", b"x") + chunk(PYRO4, b"LABX", b"x") + chunk(PYRO4, b"AAAA", b"a")
    (message,) = decode(pyro4_bytes(chunks=chunks), hmac_key=KEY)
    assert message.annotations == {"LABX": b"x", "AAAA": b"a"}


def test_an_unsigned_message_is_refused_where_a_key_is_set() -> None:
    with pytest.raises(SecurityError, match=NOT_SYMMETRIC + "a key is set on this side") as caught:
        decode(pyro4_bytes(), hmac_key=KEY)
    assert caught.value.header == Header(PYRO4, 4, 1, 7)


@pytest.mark.parametrize("no_key", [None, b""])
def test_a_signed_message_is_refused_where_no_key_is_set(no_key: bytes | None) -> None:
    with pytest.raises(SecurityError, match=NOT_SYMMETRIC + "the message is signed") as caught:
        decode(pyro4_bytes(chunks=signed_chunk(KEY, b"data")), hmac_key=no_key)
    assert caught.value.header == Header(PYRO4, 4, 1, 7)


def test_an_unsigned_message_with_a_correlation_id_is_refused_where_a_key_is_set() -> None:
    with pytest.raises(SecurityError, match=r"^hmac key config not symmetric: a key is set on this side"):
        decode(pyro4_bytes(chunks=chunk(PYRO4, b"CORR", CORRELATION)), hmac_key=KEY)


def test_an_empty_key_signs_nothing() -> None:
    message = Message(PYRO4, MessageType.INVOKE, 1, 0, 7, b"data")
    assert encode(message, limit=LIMIT, hmac_key=b"") == pyro4_bytes()


def test_the_signature_is_checked_before_anything_is_decompressed() -> None:
    wire = pyro4_bytes(b"no zlib stream", flags=2, chunks=signed_chunk(b"another", b"no zlib stream"))
    with pytest.raises(SecurityError, match=MISMATCH):
        decode(wire, hmac_key=KEY)


def test_the_signature_is_that_of_the_compressed_data() -> None:
    message = Message(PYRO4, MessageType.INVOKE, 1, 0, 7, bytes(5000))
    wire = encode(message, limit=LIMIT, hmac_key=KEY, compress=True)
    compressed = wire[24 + 26 :]
    assert wire[24:50] == signed_chunk(KEY, compressed)
    assert decode(wire, hmac_key=KEY) == [message]
