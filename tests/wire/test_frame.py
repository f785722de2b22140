"""Annotation chunks: their form is the same in both protocols but for the size of the length."""

from __future__ import annotations

import pytest
from wire_bytes import LIMIT, PROTOCOLS, WRITERS, chunk, decode, pyro5_bytes

from pyronym.errors import Header, ProtocolError
from pyronym.wire.codec import encode
from pyronym.wire.frame import MAX_CHUNKS
from pyronym.wire.message import PYRO4, PYRO5, Message, MessageType

both = pytest.mark.parametrize("protocol", PROTOCOLS)


def message(protocol: int, annotations: dict[str, bytes]) -> Message:
    return Message(protocol, MessageType.INVOKE, 1, 0, 7, b"data", annotations)


def refused(protocol: int, chunks: bytes) -> str:
    with pytest.raises(ProtocolError) as caught:
        decode(WRITERS[protocol](chunks=chunks))
    assert caught.value.header == Header(protocol, 4, 1, 7)
    return str(caught.value)


@both
def test_annotations_keep_their_order(protocol: int) -> None:
    chunks = chunk(protocol, b"LABX", b"x") + chunk(protocol, b"AAAA", b"") + chunk(protocol, b"zz\x00 ", b"abc")
    wire = WRITERS[protocol](chunks=chunks)
    (read,) = decode(wire)
    assert list(read.annotations.items()) == [("LABX", b"x"), ("AAAA", b""), ("zz\x00 ", b"abc")]
    assert encode(read, limit=LIMIT) == wire


@both
def test_of_annotations_with_one_name_the_last_counts(protocol: int) -> None:
    chunks = chunk(protocol, b"LABX", b"first") + chunk(protocol, b"LABX", b"last")
    assert decode(WRITERS[protocol](chunks=chunks)) == [message(protocol, {"LABX": b"last"})]


@both
def test_a_chunk_whose_head_is_cut_off_is_refused(protocol: int) -> None:
    head = 6 if protocol == PYRO4 else 8
    for size in range(1, head):
        words = refused(protocol, chunk(protocol, b"LABX", b"") + bytes(size))
        assert words == f"annotation chunk cut off: {size} bytes are left where {head} begin a chunk"


@both
def test_a_chunk_that_reaches_into_the_data_is_refused(protocol: int) -> None:
    words = refused(protocol, chunk(protocol, b"LABX", b"abcd")[:-1])
    assert words == "annotation chunk b'LABX' of 4 bytes exceeds the 3 bytes left for it"


def test_a_chunk_of_four_gigabytes_is_refused() -> None:
    assert refused(PYRO5, b"LABX\xff\xff\xff\xff") == (
        "annotation chunk b'LABX' of 4294967295 bytes exceeds the 0 bytes left for it"
    )


@both
@pytest.mark.parametrize("name", [b"LAB\xff", b"\xc3\xa4\xc3\xa4"])
def test_a_name_that_is_not_ascii_is_refused(protocol: int, name: bytes) -> None:
    words = refused(protocol, chunk(protocol, name, b"x"))
    assert words == f"invalid annotation name {name!r} (expected four ASCII characters)"


@both
@pytest.mark.parametrize("name", ["", "LAB", "LABXY", "LABÄ", "ÄÄ"])
def test_a_name_that_is_not_four_ascii_characters_cannot_be_written(protocol: int, name: str) -> None:
    with pytest.raises(ProtocolError, match=r"^invalid annotation name '.*' \(expected four ASCII characters\)"):
        encode(message(protocol, {name: b"x"}), limit=LIMIT)


def test_a_flood_of_empty_annotations_is_refused() -> None:
    # 16 MiB of such chunks would become a dict of two million entries.
    names = [b"%04x" % number for number in range(MAX_CHUNKS + 1)]
    chunks = [chunk(PYRO5, name, b"") for name in names]
    assert len(decode(pyro5_bytes(chunks=b"".join(chunks[:-1])))[0].annotations) == MAX_CHUNKS
    assert refused(PYRO5, b"".join(chunks)) == f"more than {MAX_CHUNKS} annotation chunks in one message"
    with pytest.raises(ProtocolError, match=f"^more than {MAX_CHUNKS} annotation chunks"):
        encode(message(PYRO5, {name.decode(): b"" for name in names}), limit=LIMIT)
