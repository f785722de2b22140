"""Bad input on a live server: the caller is told, everyone else is served, nothing that was registered is lost.

One server takes all of it, one thing after the other. After each test it must still be the same process, answer both
dialects, and know what it knew.
"""

from __future__ import annotations

import json
import marshal
import os
import pickle
import re
import resource
import socket
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import ask
from rawwire import (
    BATCH,
    COMPRESSED,
    CONNECT,
    CONNECT_FAIL,
    INVOKE,
    ONEWAY,
    PING,
    RESULT,
    SERIALIZER_IDS,
    RawPeer,
    call_message,
    connect_message,
    message,
)

from processes import PYRONYM, NameServer, NameServers, stopping

EVERY_PEER = pytest.mark.parametrize("dialect", [4, 5])
EVERY_SERIALIZER = pytest.mark.parametrize(
    ("dialect", "serializer"), [(dialect, name) for dialect, names in SERIALIZER_IDS.items() for name in names]
)
PICKLES = pytest.mark.parametrize("serializer", ["pickle", "dill", "cloudpickle"])
MEMORY_LIMIT = 64 * 1024 * 1024
"""Bytes by which the server may grow for one hostile message: a few times the largest message that it takes."""


@pytest.fixture(scope="module")
def running() -> Iterator[NameServer]:
    servers = NameServers([PYRONYM, "serve"])
    with stopping(servers.processes):
        server = servers()
        with RawPeer(server.address, 5) as peer:
            peer.shake_hands()
            for number in range(20):
                peer.call("register", f"kept.{number}", f"PYRO:kept{number}@host:{number}")
        yield server
        assert server.process.terminate() == 0, server.process.output


@pytest.fixture
def server(running: NameServer) -> Iterator[NameServer]:
    yield running
    assert running.process.returncode is None, f"the server is gone:\n{running.process.output}"
    for dialect in (4, 5):
        with RawPeer(running.address, dialect) as peer:
            peer.shake_hands()
            kept = peer.call("list", "kept.")
            assert kept == {f"kept.{number}": f"PYRO:kept{number}@host:{number}" for number in range(20)}
            assert peer.call("count") == 21


def memory(server: NameServer) -> int:
    """The most memory that the server has had so far, in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert match is not None
    return int(match[1]) * 1024


def refuse(server: NameServer, dialect: int, data: bytes, *, after_handshake: bool = True) -> bytes:
    """Send something that must be refused, and give the words of the refusal; none when it is hanging up."""
    with RawPeer(server.address, dialect) as peer:
        if after_handshake:
            peer.shake_hands()
        peer.send(data)
        answer = peer.receive()
        if answer is None:
            return b""
        assert answer.is_refusal, answer
        return answer.data


# Messages that are none


@EVERY_PEER
@pytest.mark.parametrize("version", [44, 47, 49, 501, 503, 0xFFFF])
def test_another_protocol_version_is_named_in_the_log(dialect: int, version: int, serve: NameServers) -> None:
    server = serve()  # one of its own: each offender has one line a minute
    with RawPeer(server.address, dialect) as peer:
        peer.send(message(dialect, CONNECT, b"{}", version=version))
        assert peer.is_hung_up()
    server.process.wait_for_line(rf"\b{version}\b")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"SSH-2.0-OpenSSH_9.0\r\n" + bytes(40),
        bytes(100),
        b"\xff" * 100,
        b"PYRQ\x00\x30" + bytes(100),
    ],
    ids=["http", "tls", "ssh", "zeros", "ones", "almost"],
)
def test_other_protocols_are_hung_up_on(data: bytes, server: NameServer) -> None:
    with RawPeer(server.address, 5) as peer:
        peer.send(data)
        assert peer.is_hung_up()


@EVERY_PEER
def test_a_header_with_a_wrong_checksum_or_magic_ends_the_connection(dialect: int, server: NameServer) -> None:
    spoiled = bytearray(connect_message(dialect))
    spoiled[23 if dialect == 4 else 39] ^= 1
    with RawPeer(server.address, dialect) as peer:
        peer.send(bytes(spoiled))
        assert peer.is_hung_up()


@EVERY_PEER
@pytest.mark.parametrize("after_handshake", [False, True])
def test_a_gigabyte_that_is_announced_is_refused_from_the_header(
    dialect: int, after_handshake: bool, server: NameServer
) -> None:
    before = memory(server)
    with RawPeer(server.address, dialect) as peer:
        if after_handshake:
            peer.shake_hands()
        peer.send(message(dialect, INVOKE if after_handshake else CONNECT, announced=2**30))
        assert peer.is_hung_up()
    assert memory(server) - before < MEMORY_LIMIT


def test_a_negative_length_ends_the_connection(server: NameServer) -> None:
    with RawPeer(server.address, 4) as peer:
        peer.send(message(4, CONNECT, announced=-1))
        assert peer.is_hung_up()


def test_annotations_that_are_too_long_are_refused_from_the_header(server: NameServer) -> None:
    header = bytearray(message(5, CONNECT, b"{}"))
    header[16:20] = struct.pack("!I", 2**31)
    with RawPeer(server.address, 5) as peer:
        peer.send(bytes(header[:40]))
        assert peer.is_hung_up()


@EVERY_PEER
@pytest.mark.parametrize(
    "chunk",
    [b"ABCD", b"ABCD\x00", b"ABCD\xff\xff\xff\xff", b"\xff\xfe\xfd\xfc\x00\x00\x00\x00"],
    ids=["cut", "cut-in-length", "too-long", "no-letters"],
)
def test_broken_annotations_end_the_connection_or_are_ignored(dialect: int, chunk: bytes, server: NameServer) -> None:
    with RawPeer(server.address, dialect) as peer:
        peer.shake_hands()
        peer.send(message(dialect, PING, b"ping", annotations=chunk))
        answer = peer.receive()
        assert answer is None or answer.is_refusal or answer.kind == PING


@EVERY_PEER
def test_a_compression_bomb_is_not_unpacked(dialect: int, server: NameServer) -> None:
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(1024)) + packer.flush()
    before = memory(server)
    refuse(server, dialect, message(dialect, INVOKE, bomb, serializer="serpent", flags=COMPRESSED))
    assert memory(server) - before < MEMORY_LIMIT


@EVERY_PEER
def test_compressed_data_that_is_not_compressed_is_refused(dialect: int, server: NameServer) -> None:
    refuse(server, dialect, message(dialect, INVOKE, b"not zlib at all", flags=COMPRESSED))


# Payloads that cannot be read


@EVERY_SERIALIZER
@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff\xfe\x00garbage\x80\x05", b"(", b"{" * 50, bytes(200)],
    ids=["empty", "noise", "cut", "open", "zeros"],
)
@pytest.mark.parametrize("kind", [CONNECT, INVOKE], ids=["connect", "invoke"])
def test_a_broken_payload_is_answered_with_an_error(
    dialect: int, serializer: str, payload: bytes, kind: int, server: NameServer
) -> None:
    data = message(dialect, kind, payload, serializer=serializer, sequence=77)
    with RawPeer(server.address, dialect) as peer:
        if kind == INVOKE:
            peer.shake_hands()
        peer.send(data)
        answer = peer.receive()
        assert answer is not None
        assert answer.is_refusal
        assert (answer.kind, answer.sequence) == (CONNECT_FAIL if kind == CONNECT else RESULT, 77)


@EVERY_SERIALIZER
def test_a_payload_of_the_wrong_shape_is_answered_with_an_error(
    dialect: int, serializer: str, server: NameServer
) -> None:
    whole_numbers = {"serpent": b"42", "json": b"42", "marshal": marshal.dumps(42), "msgpack": b"\x2a"}
    payload = whole_numbers.get(serializer, pickle.dumps(42))
    for kind in (CONNECT, INVOKE):
        data = message(dialect, kind, payload, serializer=serializer)
        assert refuse(server, dialect, data, after_handshake=kind == INVOKE)


@EVERY_PEER
@pytest.mark.parametrize(
    "call",
    [
        {"object": 1, "method": "count", "params": [], "kwargs": {}},
        {"object": "Pyro.NameServer", "method": ["count"], "params": [], "kwargs": {}},
        {"object": "Pyro.NameServer", "method": None, "params": [], "kwargs": {}},
        {"object": "Pyro.NameServer", "method": "lookup", "params": "abc", "kwargs": {}},
        {"object": "Pyro.NameServer", "method": "count", "params": {"a": 1}, "kwargs": {}},
        {"object": "Pyro.NameServer", "method": "count", "params": 5, "kwargs": {}},
        {"object": "Pyro.NameServer", "method": "count", "params": [], "kwargs": [1, 2]},
        {"object": "Pyro.NameServer", "method": "count", "params": []},
        {"method": "count", "params": [], "kwargs": {}},
        {},
    ],
    ids=str,
)
def test_a_call_with_parts_of_wrong_types_is_answered_with_an_error(
    dialect: int, call: dict[str, object], server: NameServer
) -> None:
    assert refuse(server, dialect, message(dialect, INVOKE, json.dumps(call).encode()))


@EVERY_PEER
@pytest.mark.parametrize(
    "calls", [5, "count", [5], [["count"]], [["count", [], {}, 1]], [[1, [], {}]], [["count", 5, {}]]], ids=str
)
def test_a_batch_that_is_no_list_of_calls_is_answered_with_an_error(
    dialect: int, calls: object, server: NameServer
) -> None:
    call = {"object": "Pyro.NameServer", "method": "<batch>", "params": calls, "kwargs": {}}
    data = message(dialect, INVOKE, json.dumps(call).encode(), flags=BATCH)
    with RawPeer(server.address, dialect) as peer:
        peer.shake_hands()
        peer.send(data)
        answer = peer.receive()
        assert answer is not None
        assert answer.is_refusal or b"__exception__" in answer.data


@EVERY_PEER
@pytest.mark.parametrize("unknown", [0, 9, 42, 255])
@pytest.mark.parametrize("kind", [CONNECT, INVOKE], ids=["connect", "invoke"])
def test_an_unknown_serializer_is_refused_in_marshal_and_the_connection_closed(
    dialect: int, unknown: int, kind: int, server: NameServer
) -> None:
    with RawPeer(server.address, dialect) as peer:
        if kind == INVOKE:
            peer.shake_hands()
        peer.send(message(dialect, kind, b"whatever", serializer=unknown, sequence=5))
        answer = peer.receive()
        assert answer is not None
        assert answer.is_refusal
        assert answer.serializer == SERIALIZER_IDS[dialect]["marshal"]
        assert str(unknown) in str(marshal.loads(answer.data))
        assert peer.is_hung_up()


# Payloads that want too much


@EVERY_SERIALIZER
def test_deep_nesting_is_refused(dialect: int, serializer: str, server: NameServer) -> None:
    depth = 200_000
    nested = {
        "serpent": b"# serpent utf-8 python3.2\n" + b"(" * depth + b")" * depth,
        "json": b"[" * depth + b"]" * depth,
        "marshal": b"(\x01\x00\x00\x00" * depth + b"N",
        "msgpack": b"\x91" * depth + b"\xc0",
        "pickle": b"\x80\x04" + b"(" * depth + b"l" + b"l" * (depth - 1) + b".",
    }
    payload = nested.get(serializer, nested["pickle"])
    assert refuse(server, dialect, message(dialect, INVOKE, payload, serializer=serializer))


@EVERY_PEER
@pytest.mark.parametrize(
    ("serializer", "payload"),
    [
        ("marshal", b"[\xff\xff\xff\x7f"),
        ("marshal", b"(\xff\xff\xff\x7f"),
        ("marshal", b"s\xff\xff\xff\x7f"),
        ("marshal", b"l\xff\xff\xff\x7f"),
        ("msgpack", b"\xdd\xff\xff\xff\xff"),
        ("msgpack", b"\xdf\xff\xff\xff\xff"),
        ("msgpack", b"\xc6\xff\xff\xff\xff"),
        ("json", b"9" * 1_000_000),
        ("serpent", b"9" * 1_000_000),
        ("serpent", b"'x' * 1000000000"),
        ("serpent", b"9 ** 9 ** 9"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value[:12]),
)
def test_a_small_payload_that_wants_much_memory_or_time_is_refused(
    dialect: int, serializer: str, payload: bytes, server: NameServer
) -> None:
    before = memory(server)
    assert refuse(server, dialect, message(dialect, INVOKE, payload, serializer=serializer))
    assert memory(server) - before < MEMORY_LIMIT


# Payloads that want to be executed


@EVERY_PEER
@pytest.mark.parametrize(
    "payload",
    [
        b"\xdb\x01\x00\x00\x00r\x00\x00\x00\x00",
        b"\xa9\x01r\x00\x00\x00\x00",
        b"\xfb\x4er\x00\x00\x00\x000",
        marshal.dumps(compile("1", "x", "eval")),
        marshal.dumps(("Pyro.NameServer", "lookup", (compile("1", "x", "eval"),), {})),
        b"r\x00\x00\x00\x00",
        b"c" + bytes(200),
    ],
    ids=[
        "list-in-itself",
        "tuple-in-itself",
        "dict-in-itself",
        "code",
        "code-as-argument",
        "loose-reference",
        "broken-code",
    ],
)
def test_marshal_data_that_crashes_a_naive_reader_is_refused(dialect: int, payload: bytes, server: NameServer) -> None:
    assert refuse(server, dialect, message(dialect, INVOKE, payload, serializer="marshal"))


@EVERY_PEER
def test_a_self_referencing_marshal_list_as_an_argument(dialect: int, server: NameServer) -> None:
    call = marshal.dumps(("Pyro.NameServer", "lookup", ("PLACE",), {}), 2)
    place = marshal.dumps("PLACE", 2)
    assert place in call
    payload = call.replace(place, b"\xdb\x01\x00\x00\x00r\x00\x00\x00\x00")
    assert refuse(server, dialect, message(dialect, INVOKE, payload, serializer="marshal"))


class Execute:
    """Pickles as a call of a function."""

    def __init__(self, function: object, *args: object) -> None:
        self._call = (function, args)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self._call


@PICKLES
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [CONNECT, INVOKE], ids=["connect", "invoke"])
def test_a_pickle_that_names_os_system_is_refused_and_not_executed(
    serializer: str, protocol: int, kind: int, server: NameServer, tmp_path: Path
) -> None:
    marker = tmp_path / "executed"
    evil = Execute(os.system, f"touch {marker}")
    call: tuple[object, ...] = ("Pyro.NameServer", "lookup", (evil,), {})
    for value in (evil, call, {"handshake": evil, "object": "Pyro.NameServer"}):
        payload = pickle.dumps(value, protocol)
        words = refuse(server, 4, message(4, kind, payload, serializer=serializer), after_handshake=kind == INVOKE)
        assert b"system" in words or protocol < 2  # no stock client uses 0 and 1: they are refused for that
        assert not marker.exists()


@PICKLES
def test_a_stock_client_gets_a_security_error_for_such_a_pickle(
    serializer: str, server: NameServer, stock4_python: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "executed"
    answers = ask(
        stock4_python,
        server.uri,
        "class Evil:\n    def __reduce__(self): return (__import__('os').system, (f'touch {marker}',))",
        f"marker = {str(marker)!r}",
        "ns.lookup(Evil())",
        "connect(ns._pyroUri).register('evil', 'PYRO:x@host:1', metadata=[Evil()])",
        "connect(ns._pyroUri).register('evil', 'PYRO:x@host:1', metadata=[eval, open, type])",
        "proxy = connect(ns._pyroUri); proxy._pyroHandshake = Evil()",
        "proxy._pyroBind()",
        serializer=serializer,
        env={"PYRO_SERIALIZER": serializer},
    )
    for answer in answers[2:5]:
        assert answer.startswith("!! Pyro4.errors.SecurityError("), answer
    assert answers[6].startswith("!! Pyro4.errors.CommunicationError(")
    assert "system" in answers[6]
    assert not marker.exists()


@EVERY_PEER
@pytest.mark.parametrize("serializer", ["serpent", "json", "marshal", "msgpack"])
@pytest.mark.parametrize(
    "name",
    ["os.system", "builtins.eval", "builtins.SystemExit", "Pyro4.core.Daemon", "Pyro5.server.Daemon", "x"],
)
def test_a_class_that_is_named_in_a_value_is_not_made(
    dialect: int,
    serializer: str,
    name: str,
    server: NameServer,
    stock4_python: Path,
    stock5_python: Path,
) -> None:
    python = {4: stock4_python, 5: stock5_python}[dialect]
    value = {
        "__class__": name,
        "args": ["touch /nonexistent/marker"],
        "state": [],
        "__exception__": True,
        "attributes": {},
    }
    answers = ask(python, server.uri, f"ns.lookup({value})", "ns.lookup('kept.2').port", serializer=serializer)
    assert answers[0].startswith("!! ")
    assert answers[1] == "2"


# Conversations out of order


@EVERY_PEER
def test_a_call_before_the_handshake_is_refused(dialect: int, server: NameServer) -> None:
    refuse(server, dialect, call_message(dialect, "remove", "kept.1"), after_handshake=False)


@EVERY_PEER
@pytest.mark.parametrize("kind", [0, CONNECT, 2, 3, RESULT, 7, 99])
def test_a_message_of_a_kind_that_no_client_sends_ends_the_connection(
    dialect: int, kind: int, server: NameServer
) -> None:
    with RawPeer(server.address, dialect) as peer:
        peer.shake_hands()
        peer.send(message(dialect, kind, b"{}"))
        assert peer.is_hung_up()


@EVERY_PEER
def test_oneway_calls_that_fail_say_nothing(dialect: int, server: NameServer) -> None:
    with RawPeer(server.address, dialect) as peer:
        peer.shake_hands()
        bad = bytearray(call_message(dialect, "lookup", "nope", sequence=1))
        peer.send(message(dialect, INVOKE, bytes(bad[24 if dialect == 4 else 40 :]), flags=ONEWAY))
        peer.send(call_message(dialect, "count", sequence=2))
        answer = peer.receive()
        assert answer is not None
        assert (answer.sequence, answer.data) == (2, b"21")


@EVERY_PEER
def test_a_ping_is_answered_whatever_its_serializer(dialect: int, server: NameServer) -> None:
    with RawPeer(server.address, dialect) as peer:
        peer.shake_hands()
        peer.send(message(dialect, PING, b"anything", serializer=42, sequence=9))
        answer = peer.receive()
        assert answer is not None
        assert (answer.kind, answer.sequence) == (PING, 9)


@EVERY_PEER
def test_many_calls_at_once_are_answered_in_their_order(dialect: int, server: NameServer) -> None:
    with RawPeer(server.address, dialect) as peer:
        peer.shake_hands()
        peer.send(b"".join(call_message(dialect, "lookup", f"kept.{n % 20}", sequence=n) for n in range(500)))
        for number in range(500):
            answer = peer.receive()
            assert answer is not None
            assert answer.sequence == number
            assert f"kept{number % 20}".encode() in answer.data


# Peers that stop half-way


@EVERY_PEER
@pytest.mark.parametrize("after_handshake", [False, True])
@pytest.mark.parametrize("part", ["magic", "header", "data"])
def test_a_message_that_stops_half_way_keeps_nobody_waiting(
    dialect: int, after_handshake: bool, part: str, server: NameServer
) -> None:
    whole = call_message(dialect, "lookup", "kept.3", sequence=3) if after_handshake else connect_message(dialect)
    sizes = {"magic": 2, "header": 20, "data": len(whole) - 1}
    with RawPeer(server.address, dialect) as slow, RawPeer(server.address, 9 - dialect) as other:
        if after_handshake:
            slow.shake_hands()
        slow.send(whole[: sizes[part]])
        other.shake_hands()
        assert other.call("count") == 21
        slow.send(whole[sizes[part] :])
        answer = slow.receive()
        assert answer is not None
        assert not answer.is_refusal


def test_hundreds_of_half_sent_messages_keep_nobody_waiting(server: NameServer) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert min(soft, hard if hard > 0 else soft) > 700
    peers = [RawPeer(server.address, 4 if number % 2 else 5) for number in range(300)]
    try:
        for number, peer in enumerate(peers):
            peer.send(connect_message(peer.dialect)[: number % 60])
        with RawPeer(server.address, 5) as other:
            other.shake_hands()
            assert other.call("count") == 21
    finally:
        for peer in peers:
            peer.socket.close()


@EVERY_PEER
def test_a_peer_that_resets_its_connection_is_forgotten(dialect: int, server: NameServer) -> None:
    for data in (b"", connect_message(dialect)[:10], connect_message(dialect), connect_message(dialect) * 2):
        with RawPeer(server.address, dialect) as peer:
            peer.send(data)
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@EVERY_PEER
def test_a_peer_that_asks_and_never_reads_keeps_nobody_waiting(dialect: int, server: NameServer) -> None:
    before = memory(server)
    with RawPeer(server.address, dialect) as deaf, RawPeer(server.address, dialect) as other:
        deaf.shake_hands()
        deaf.socket.settimeout(1.0)
        with pytest.raises(TimeoutError):  # the server stops reading from a peer that does not take its answers
            deaf.send(call_message(dialect, "list") * 1_000_000)
        other.shake_hands()
        assert other.call("count") == 21
    assert memory(server) - before < MEMORY_LIMIT


def test_the_limit_of_message_sizes_is_a_setting(serve: NameServers, stock4_python: Path) -> None:
    server = serve(env={"PYRO_MAX_MESSAGE_SIZE": "5000"})
    lines = ("ns.register('a', 'PYRO:a@host:1', metadata=['x' * 6000])", "ns.count()")
    refusal, count = ask(stock4_python, server.uri, *lines)
    assert refusal.startswith("!! Pyro4.errors.")
    assert count == "1"


def test_a_text_of_16_mib_fits_and_a_little_more_does_not(serve: NameServers, stock5_python: Path) -> None:
    server = serve(env={"PYRO_MAX_NAME_LENGTH": str(1 << 30)})
    just = 16 * 1024 * 1024 - 1000
    answers = ask(
        stock5_python,
        server.uri,
        f"ns.register('a', 'PYRO:a@host:1', metadata=['x' * {just}])",
        f"ns.register('b', 'PYRO:b@host:1', metadata=['x' * {just + 2000}])",
        "ns._pyroRelease()",
        "ns.count()",
    )
    assert answers[0] == "None"
    assert answers[1].startswith("!! Pyro5.errors.")
    assert "max message size exceeded" in answers[1]
    assert answers[3] == "2"
