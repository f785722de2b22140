from __future__ import annotations

import tracemalloc
import zlib

import pytest
from wire_bytes import LIMIT, PROTOCOLS, WRITERS, chunk, decode

from pyronym.errors import Header, MessageTooLargeError, ProtocolError
from pyronym.wire.compression import unfolds_beyond

COMPRESSED = 2

both = pytest.mark.parametrize("protocol", PROTOCOLS)


def refused(protocol: int, data: bytes, limit: int = LIMIT) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        decode(WRITERS[protocol](data, flags=COMPRESSED), limit=limit)
    assert caught.value.header == Header(protocol, 4, 1, 7)
    return caught.value


@both
@pytest.mark.parametrize("level", [0, 1, 9])
def test_compressed_data_is_given_plain(protocol: int, level: int) -> None:
    (message,) = decode(WRITERS[protocol](zlib.compress(b"plain" * 100, level), flags=COMPRESSED))
    assert message.data == b"plain" * 100
    assert message.flags == 0


@both
def test_no_data_at_all_may_be_compressed(protocol: int) -> None:
    assert decode(WRITERS[protocol](zlib.compress(b""), flags=COMPRESSED))[0].data == b""


@both
@pytest.mark.parametrize("data", [b"not compressed", b"\x78\x9c\xff\xff\xff", b"\x1f\x8b\x08\x00"])
def test_data_that_is_no_zlib_stream_is_refused(protocol: int, data: bytes) -> None:
    assert str(refused(protocol, data)).startswith("compressed data is broken: ")


@both
def test_a_zlib_stream_that_is_cut_off_is_refused(protocol: int) -> None:
    whole = zlib.compress(b"plain" * 100)
    for size in range(len(whole)):
        words = f"compressed data is cut off: its {size} bytes are not a whole zlib stream"
        assert str(refused(protocol, whole[:size])) == words


@both
def test_bytes_after_a_zlib_stream_are_refused(protocol: int) -> None:
    problem = refused(protocol, zlib.compress(b"plain") + b"more")
    assert str(problem) == "compressed data is followed by 4 bytes that do not belong to it"


@both
def test_decompressed_data_may_be_as_large_as_the_limit_leaves(protocol: int) -> None:
    chunks = chunk(protocol, b"LABX", bytes(10))
    wire = WRITERS[protocol](zlib.compress(bytes(1000)), chunks=chunks, flags=COMPRESSED)
    size = 1000 + len(chunks)
    assert len(decode(wire, limit=size)[0].data) == 1000
    with pytest.raises(MessageTooLargeError, match=rf"^max message size exceeded \({size} where max={size - 1}\)"):
        decode(wire, limit=size - 1)


@both
def test_a_zlib_bomb_is_refused_before_it_unfolds(protocol: int) -> None:
    compressor = zlib.compressobj(9)
    bomb = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(30)) + compressor.flush()
    assert len(bomb) < 50_000
    tracemalloc.start()
    try:
        problem = refused(protocol, bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert type(problem) is MessageTooLargeError
    assert str(problem).startswith(f"max message size exceeded ({LIMIT + 1} where max={LIMIT})")
    assert peak < 4 * LIMIT


@pytest.mark.parametrize(
    ("data", "beyond"),
    [
        (zlib.compress(bytes(1000)), False),
        (zlib.compress(bytes(1001)), True),
        (zlib.compress(b"", 0)[:-9] + b"\0\0\0\xff\xff" * 300, True),  # empty blocks: nothing, at the price of much
        (zlib.compress(bytes(2000))[:-4], True),
        (b"no stream", False),
        (b"", False),
    ],
    ids=["as-much", "more", "empty-blocks", "cut-off", "garbage", "nothing"],
)
def test_what_a_stream_may_stand_for_is_found_out_early(data: bytes, beyond: bool) -> None:
    assert unfolds_beyond(data, 1000) is beyond
