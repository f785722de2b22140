"""What a client sends, and what it makes of the answers: bytes in, answers out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyronym.errors import (
    CommunicationError,
    MessageTooLargeError,
    ProtocolError,
    PyroError,
    SecurityError,
    SerializeError,
)
from pyronym.rpc.client import (
    BATCH_METHOD,
    ClientSession,
    Failure,
    ItemStream,
    OtherProtocolError,
    Pong,
    Result,
    Welcome,
    members_from_metadata,
)
from pyronym.rpc.exposed import Members
from pyronym.serializers.registry import serializer_by_id, serializer_by_name, serializer_id
from pyronym.settings import Settings
from pyronym.wire.codec import Decoder, encode
from pyronym.wire.message import PYRO4, PYRO5, Flag, Message, MessageType

BOTH = pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
SETTINGS = Settings()
LIMIT = SETTINGS.message_limit
METADATA = {"methods": ["a", "b"], "oneway": ["b"], "attrs": ["c"]}
WELCOME = {"handshake": "welcome", "meta": METADATA}


def session(protocol: int = PYRO4, settings: Settings = SETTINGS, hmac_key: bytes | None = None) -> ClientSession:
    return ClientSession(protocol, "there:1", settings, hmac_key=hmac_key)


def sent(data: bytes, hmac_key: bytes | None = None) -> Message:
    decoder = Decoder(limit=LIMIT, hmac_key=hmac_key)
    decoder.feed(data)
    message = decoder.next_message()
    assert message is not None
    assert decoder.buffered == 0
    return message


def loaded(message: Message) -> Any:
    return serializer_by_id(message.protocol, message.serializer_id).loads(message.data)


def answer(
    request: bytes,
    value: object,
    kind: MessageType = MessageType.RESULT,
    *,
    flags: int = 0,
    serializer: str = "serpent",
    sequence: int | None = None,
    annotations: Mapping[str, bytes] | None = None,
) -> bytes:
    """The bytes of an answer to `request`, correct unless told otherwise."""
    asked = sent(request)
    data = serializer_by_name(asked.protocol, serializer).dumps(value)
    identity = serializer_id(asked.protocol, serializer)
    number = asked.sequence if sequence is None else sequence
    return encode(Message(asked.protocol, kind, identity, flags, number, data, annotations or {}), limit=LIMIT)


def call(of: ClientSession, method: str = "a", *args: object, **options: Any) -> bytes:
    return of.invoke("thing", method, args, {}, serializer="serpent", **options)


def welcome(of: ClientSession, value: object = WELCOME, flags: int = Flag.METADATA) -> object:
    request = of.connect("thing", "hello", serializer="serpent")
    of.receive_data(answer(request, value, MessageType.CONNECT_OK, flags=flags))
    return of.next_answer()


# Requests


@BOTH
def test_the_connect_message_names_the_object_and_shows_the_handshake(protocol: int) -> None:
    message = sent(session(protocol).connect("thing", {"me": 1}, serializer="json"))
    assert (message.protocol, message.type, message.sequence) == (protocol, MessageType.CONNECT, 0)
    assert message.flags == (Flag.METADATA if protocol == PYRO4 else 0)
    assert message.serializer_id == serializer_id(protocol, "json")
    assert loaded(message) == {"handshake": {"me": 1}, "object": "thing"}


def test_without_metadata_pyro4_is_asked_for_nothing() -> None:
    message = sent(session(settings=Settings(metadata=False)).connect("thing", "hello", serializer="serpent"))
    assert message.flags == 0
    assert loaded(message) == {"handshake": "hello"}


def test_pyro5_always_wants_to_know_the_object() -> None:
    message = sent(session(PYRO5, Settings(metadata=False)).connect("thing", "hello", serializer="serpent"))
    assert loaded(message) == {"handshake": "hello", "object": "thing"}


@BOTH
def test_a_call_carries_object_method_and_arguments(protocol: int) -> None:
    message = sent(session(protocol).invoke("thing", "a", (1,), {"two": 2}, serializer="serpent"))
    assert (message.type, message.flags, message.sequence) == (MessageType.INVOKE, 0, 1)
    object_id, method, args, kwargs = serializer_by_name(protocol, "serpent").loads_call(message.data)
    assert (object_id, method, list(args), kwargs) == ("thing", "a", [1], {"two": 2})


@BOTH
def test_batches_and_oneway_calls_are_flagged(protocol: int) -> None:
    message = sent(call(session(protocol), BATCH_METHOD, ("a", (), {}), batch=True, oneway=True))
    assert message.flags == Flag.BATCH | Flag.ONEWAY


def test_every_call_has_the_next_number_and_the_last_is_followed_by_0() -> None:
    of = session()
    requests = [call(of, oneway=True) for _ in range(65537)]
    assert [sent(request).sequence for request in (*requests[:2], *requests[-3:])] == [1, 2, 65535, 0, 1]


def test_compression_is_a_matter_of_the_settings() -> None:
    text = "x" * 10_000
    assert len(call(session(settings=Settings(compression=True)), "a", text)) < 1000 < len(call(session(), "a", text))


def test_a_ping_is_answered_with_a_ping() -> None:
    of = session()
    request = of.ping()
    assert sent(request).type is MessageType.PING
    of.receive_data(answer(request, "pong", MessageType.PING))
    assert of.next_answer() == Pong()


@BOTH
@pytest.mark.parametrize(
    ("argument", "serializer", "expected"),
    [
        (object(), "serpent", SerializeError),
        (1, "morse", SerializeError),
        ("x" * 2000, "serpent", MessageTooLargeError),
    ],
    ids=["argument", "serializer", "size"],
)
def test_a_call_that_cannot_be_sent_changes_nothing(
    protocol: int, argument: object, serializer: str, expected: type[Exception]
) -> None:
    of = session(protocol, Settings(max_message_size=1000))
    with pytest.raises(expected):
        of.invoke("thing", "a", (argument,), {}, serializer=serializer)
    assert not of.waiting
    assert sent(call(of)).sequence == 1


def test_there_is_one_request_at_a_time() -> None:
    of = session()
    request = call(of)
    assert of.waiting
    with pytest.raises(PyroError, match="a call is under way on the connection to there:1"):
        call(of)
    of.receive_data(answer(request, 1))
    assert of.next_answer() == Result(1, holds_references=False)
    assert not of.waiting
    call(of, oneway=True)
    assert not of.waiting


# Answers to the connect message


@pytest.mark.parametrize("collection", [list, set, tuple])
@BOTH
def test_the_welcome_tells_the_members(protocol: int, collection: type) -> None:
    metadata = {key: collection(names) for key, names in METADATA.items()}
    found = welcome(session(protocol), {"handshake": "welcome", "meta": metadata})
    assert found == Welcome("welcome", Members(frozenset("ab"), frozenset("b"), frozenset("c")))


def test_a_welcome_without_metadata_is_the_handshake_alone() -> None:
    assert welcome(session(settings=Settings(metadata=False)), "welcome", flags=0) == Welcome("welcome", None)
    assert welcome(session(PYRO5, Settings(metadata=False))) == Welcome("welcome", None)


@BOTH
@pytest.mark.parametrize("serializer", ["marshal", "serpent"])
def test_a_refusal_says_who_and_why(protocol: int, serializer: str) -> None:
    of = session(protocol)
    request = of.connect("thing", "hello", serializer="json")
    of.receive_data(answer(request, "no free workers", MessageType.CONNECT_FAIL, serializer=serializer))
    with pytest.raises(CommunicationError, match=r"^connection to there:1 rejected: no free workers$"):
        of.next_answer()


def test_a_refusal_that_cannot_be_read_is_a_refusal() -> None:
    of = session()
    of.connect("thing", "hello", serializer="json")
    of.receive_data(encode(Message(PYRO4, MessageType.CONNECT_FAIL, 99, 0, 0, b"?"), limit=LIMIT))
    with pytest.raises(CommunicationError, match=r"^connection to there:1 rejected: .*cannot be read"):
        of.next_answer()


def test_an_object_without_members_is_refused() -> None:
    nothing = {"handshake": "welcome", "meta": {"methods": [], "oneway": [], "attrs": []}}
    with pytest.raises(PyroError, match=r"^remote object doesn't expose any methods or attributes: thing at there:1"):
        welcome(session(), nothing)


@pytest.mark.parametrize(
    "value", ["text", {}, {"meta": METADATA}, {"handshake": 1}, {"handshake": 1, "meta": []}], ids=repr
)
def test_a_welcome_of_another_form_is_an_error(value: object) -> None:
    with pytest.raises(ProtocolError, match=r"^invalid"):
        welcome(session(), value)


@pytest.mark.parametrize("names", [None, 7, "text", b"bytes", [1], [None]], ids=repr)
def test_members_that_are_no_names_are_an_error(names: object) -> None:
    with pytest.raises(ProtocolError, match=r"^invalid metadata.*'oneway'"):
        members_from_metadata({**METADATA, "oneway": names})


# The other protocol


@pytest.mark.parametrize(("ours", "theirs"), [(PYRO4, PYRO5), (PYRO5, PYRO4)])
def test_a_daemon_of_the_other_protocol_is_recognised(ours: int, theirs: int) -> None:
    of = session(ours)
    of.connect("thing", "hello", serializer="serpent")
    data = serializer_by_name(theirs, "marshal").dumps("invalid protocol version")
    refusal = Message(theirs, MessageType.CONNECT_FAIL, serializer_id(theirs, "marshal"), 0, 0, data)
    of.receive_data(encode(refusal, limit=LIMIT))
    with pytest.raises(OtherProtocolError, match=r"^the daemon at there:1 speaks Pyro") as caught:
        of.next_answer()
    assert caught.value.protocol == theirs


def test_the_first_six_bytes_tell_the_protocol() -> None:
    of = session()
    of.connect("thing", "hello", serializer="serpent")
    of.receive_data(b"PYRO\x01")
    assert of.next_answer() is None
    of.receive_data(b"\xf6")
    with pytest.raises(OtherProtocolError):
        of.next_answer()


def test_the_other_protocol_is_recognised_though_it_has_no_signatures() -> None:
    of = session(hmac_key=b"secret")
    of.connect("thing", "hello", serializer="serpent")
    of.receive_data(encode(Message(PYRO5, MessageType.CONNECT_FAIL, 1, 0, 0, b"'no'"), limit=LIMIT))
    with pytest.raises(OtherProtocolError):
        of.next_answer()


def test_a_key_is_refused_for_pyro5() -> None:
    with pytest.raises(SecurityError, match="hmac key"):
        session(PYRO5, hmac_key=b"secret").connect("thing", "hello", serializer="serpent")


def test_what_is_no_pyro_at_all_is_an_error() -> None:
    of = session()
    of.connect("thing", "hello", serializer="serpent")
    of.receive_data(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(ProtocolError, match=r"^invalid data or unsupported protocol version"):
        of.next_answer()


# Signatures


def test_messages_are_signed_and_answers_must_be() -> None:
    of = session(hmac_key=b"secret")
    request = call(of)
    message = sent(request, b"secret")
    of.receive_data(encode(message._replace(type=MessageType.RESULT, data=b"42"), limit=LIMIT))
    with pytest.raises(SecurityError):
        of.next_answer()


# Answers to calls


@BOTH
@pytest.mark.parametrize("serializer", ["serpent", "json", "marshal", "msgpack"])
def test_a_result_is_given_as_it_is(protocol: int, serializer: str) -> None:
    of = session(protocol)
    request = of.invoke("thing", "a", (), {}, serializer=serializer)
    of.receive_data(answer(request, {"a": [1, "two"]}, serializer=serializer))
    assert of.next_answer() == Result({"a": [1, "two"]}, holds_references=False)


@BOTH
def test_a_remote_exception_is_given_with_its_traceback(protocol: int) -> None:
    of = session(protocol)
    problem = ZeroDivisionError("boom")
    problem._pyroTraceback = ["line\n"]  # type: ignore[attr-defined]
    of.receive_data(answer(call(of), problem, flags=Flag.EXCEPTION))
    failure = of.next_answer()
    assert isinstance(failure, Failure)
    assert repr(failure.exception) == repr(problem)
    assert failure.exception._pyroTraceback == ["line\n"]  # type: ignore[attr-defined]
    assert not failure.ends_connection


@pytest.mark.parametrize("kind", [SerializeError, SecurityError, CommunicationError])
def test_errors_after_which_stock_daemons_close_end_the_connection(kind: type[Exception]) -> None:
    of = session()
    of.receive_data(answer(call(of), kind("no"), flags=Flag.EXCEPTION))
    failure = of.next_answer()
    assert isinstance(failure, Failure)
    assert failure.ends_connection


def test_an_error_may_come_in_another_serializer_a_result_may_not() -> None:
    of = session()
    of.receive_data(answer(call(of), SerializeError("not accepted"), serializer="marshal", flags=Flag.EXCEPTION))
    assert isinstance(of.next_answer(), Failure)
    of.receive_data(answer(call(of), 42, serializer="marshal"))
    with pytest.raises(SerializeError, match=r"^invalid serializer in response: 3"):
        of.next_answer()


@BOTH
def test_an_item_stream_is_given_by_its_id(protocol: int) -> None:
    of = session(protocol)
    flags = Flag.EXCEPTION | Flag.ITEM_STREAM
    of.receive_data(answer(call(of), ProtocolError("iterator"), flags=flags, annotations={"STRM": b"s1"}))
    assert of.next_answer() == ItemStream("s1")


def test_a_stream_that_is_not_allowed_is_an_error_of_the_call_only() -> None:
    of = session()
    of.receive_data(answer(call(of), ProtocolError("iterator"), flags=Flag.EXCEPTION | Flag.ITEM_STREAM))
    failure = of.next_answer()
    assert isinstance(failure, Failure)
    assert isinstance(failure.exception, ProtocolError)
    assert not failure.ends_connection


# Wrong answers


def test_the_answer_to_another_call_is_an_error() -> None:
    of = session()
    of.receive_data(answer(call(of), 1, sequence=7))
    with pytest.raises(ProtocolError, match=r"^invoke: reply sequence out of sync, got 7 expected 1"):
        of.next_answer()


@pytest.mark.parametrize("kind", [MessageType.CONNECT_OK, MessageType.INVOKE, MessageType.PING])
def test_an_answer_of_the_wrong_kind_is_an_error(kind: MessageType) -> None:
    of = session()
    of.receive_data(answer(call(of), 1, kind))
    with pytest.raises(ProtocolError, match=rf"^invalid msg type {kind:d} received"):
        of.next_answer()


def test_an_exception_that_is_none_is_an_error() -> None:
    of = session()
    of.receive_data(answer(call(of), "text", flags=Flag.EXCEPTION))
    with pytest.raises(ProtocolError, match=r"^invalid error answer"):
        of.next_answer()


def test_a_result_that_cannot_be_read_is_an_error() -> None:
    of = session()
    message = sent(call(of))._replace(type=MessageType.RESULT, data=b"]")
    of.receive_data(encode(message, limit=LIMIT))
    with pytest.raises(SerializeError):
        of.next_answer()


def test_an_answer_over_the_limit_is_refused_from_its_header() -> None:
    of = session(settings=Settings(max_message_size=1000))
    of.receive_data(answer(call(of), "x" * 2000)[:24])
    with pytest.raises(MessageTooLargeError):
        of.next_answer()


@BOTH
@given(cuts=st.lists(st.integers(0, 300), max_size=6))
def test_answers_in_any_pieces_are_the_same(protocol: int, cuts: list[int]) -> None:
    of = session(protocol)
    data = answer(call(of), list(range(50)))
    places = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    pieces = [data[start:end] for start, end in pairwise(places)]
    for piece in pieces[:-1]:
        of.receive_data(piece)
        assert of.next_answer() is None
    of.receive_data(pieces[-1])
    assert of.next_answer() == Result(list(range(50)), holds_references=False)


@given(st.binary(max_size=60))
def test_no_bytes_lead_to_anything_but_a_pyro_error(data: bytes) -> None:
    for start in (b"", b"PYRO\x00\x30", b"PYRO\x01\xf6"):
        of = session()
        call(of)
        of.receive_data(start + data)
        with suppress(PyroError):
            of.next_answer()
