"""A client's session does the same with the short way of plain calls and without: also with hostile answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyronym.errors import PyroError
from pyronym.rpc.client import ClientSession, Result
from pyronym.serializers.classes import RemoteReference
from pyronym.serializers.registry import serializer_by_name, serializer_id
from pyronym.settings import Settings
from pyronym.uri import URI
from pyronym.wire import codec
from pyronym.wire.message import PYRO4, PYRO5, Flag, Message, MessageType
from pyronym.wire.plain_calls import LONGEST

LIMIT = 1 << 20
ID = b"0123456789abcdef"
BOTH = pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
SERIALIZERS = [(PYRO4, name) for name in ("serpent", "json", "msgpack", "marshal", "pickle")] + [
    (PYRO5, name) for name in ("serpent", "json", "msgpack", "marshal")
]
WELCOME = {"handshake": "hello", "meta": {"methods": ["lookup"], "oneway": [], "attrs": []}}
WITHOUT = Settings(straight_road=False)


def connected(protocol, settings, hmac_key=None):
    """A session whose daemon has welcomed it."""
    session = ClientSession(protocol, "there:1", settings, hmac_key=hmac_key)
    session.connect("thing", "hello", serializer="serpent")
    data = serializer_by_name(protocol, "serpent").dumps(WELCOME)
    welcome = Message(protocol, MessageType.CONNECT_OK, 1, Flag.METADATA, 0, data)
    session.receive_data(codec.encode(welcome, limit=LIMIT, hmac_key=hmac_key))
    session.next_answer()
    return session


def both(protocol, settings=None, without=WITHOUT, hmac_key=None):
    """A session with the short way and one without."""
    return connected(protocol, settings or Settings(), hmac_key), connected(protocol, without, hmac_key)


def answer(protocol, serializer, sequence, value, flags=0, correlation=ID, kind=MessageType.RESULT, annotations=None):
    data = serializer_by_name(protocol, serializer).dumps(value)
    identity = serializer_id(protocol, serializer)
    message = Message(protocol, kind, identity, flags, sequence, data, annotations or {}, correlation)
    return codec.encode(message, limit=LIMIT)


def what_comes_of(session, pieces):
    """Everything that the session says to these pieces, errors included, with a new call after each answer."""
    found = []
    for piece in pieces:
        session.receive_data(piece)
        try:
            while session.waiting and (outcome := session.next_answer()) is not None:
                found.append(repr(outcome))
                session.invoke("thing", "lookup", ("a",), {}, serializer="serpent")
        except PyroError as problem:
            found.append((type(problem), str(problem)))
    return found, session.waiting


def call(session, *args, serializer="serpent", **options):
    return session.invoke("thing", "lookup", args, {}, serializer=serializer, **options)


@pytest.mark.parametrize(("protocol", "serializer"), SERIALIZERS)
@pytest.mark.parametrize("options", [{}, {"oneway": True}, {"batch": True}])
@given(argument=st.text(max_size=5) | st.integers(0, 9) | st.none())
def test_calls_are_the_same_bytes(protocol, serializer, options, argument):
    with_it, without = both(protocol)
    for session in (with_it, without):  # the bytes of the second, whose number is not the first
        call(session, oneway=True)
    assert call(with_it, argument, serializer=serializer, **options) == call(
        without, argument, serializer=serializer, **options
    )


@BOTH
@pytest.mark.parametrize(
    "settings", [{"compression": True}, {"max_message_size": 1000}, {"max_message_size": 70_000}, {}]
)
@pytest.mark.parametrize("size", [10, 500, 2000, LONGEST + 1, 80_000])
def test_settings_and_sizes_make_no_difference(protocol, settings, size):
    outcomes = []
    for session in both(protocol, Settings(**settings), Settings(straight_road=False, **settings)):
        try:
            outcomes.append(call(session, "x" * size))
        except PyroError as problem:
            outcomes.append((type(problem), str(problem)))
        if session.waiting:
            outcomes[-1] = outcomes[-1], what_comes_of(session, [answer(protocol, "serpent", 1, "x" * size)])
    assert outcomes[0] == outcomes[1]


def test_signed_calls_and_answers_have_to_be_signed():
    key = b"a shared secret"
    for session in both(PYRO4, hmac_key=key):
        decoder = codec.Decoder(limit=LIMIT, hmac_key=key)
        decoder.feed(call(session, "a"))
        assert decoder.next_message() is not None
        assert "SecurityError" in str(what_comes_of(session, [answer(PYRO4, "serpent", 1, 1)]))


@pytest.mark.parametrize(("protocol", "serializer"), SERIALIZERS)
@pytest.mark.parametrize(
    "value", [URI("PYRO:a@b:1"), {"a": [1]}, None, "Proxy", RemoteReference(URI("PYRO:a@b:1"))], ids=repr
)
def test_plain_results_are_taken_without_the_codec_and_are_the_same(protocol, serializer, value, monkeypatch):
    with_it, without = both(protocol)
    for session in (with_it, without):
        call(session, serializer=serializer)
    data = answer(protocol, serializer, 1, value)
    without.receive_data(data)
    expected = without.next_answer()
    assert isinstance(expected, Result)
    monkeypatch.setattr(codec.Decoder, "feed", None)
    with_it.receive_data(data)
    assert with_it.next_answer() == expected
    assert not with_it.waiting


@BOTH
@pytest.mark.parametrize(
    "odd",
    [
        {"flags": Flag.EXCEPTION, "value": ValueError("no")},
        {"flags": Flag.EXCEPTION, "value": 1},
        {"flags": Flag.EXCEPTION | Flag.ITEM_STREAM, "annotations": {"STRM": b"1"}},
        {"flags": Flag.BATCH, "value": [1]},
        {"annotations": {"XTRA": b"1"}},
        {"correlation": None},
        {"sequence": 2},
        {"kind": MessageType.PING},
        {"kind": MessageType.CONNECT_OK},
        {"serializer": "json"},
    ],
    ids=str,
)
def test_other_answers_are_taken_the_same(protocol, odd):
    data = answer(**{"protocol": protocol, "serializer": "serpent", "sequence": 1, "value": 1, **odd})
    found = []
    for session in both(protocol):
        call(session, "a")
        found.append(what_comes_of(session, [data, answer(protocol, "serpent", 2, 2)]))
    assert found[0] == found[1]


@BOTH
def test_a_second_result_does_not_take_the_place_of_the_first(protocol):
    for session in both(protocol):
        call(session, "a")
        session.receive_data(answer(protocol, "serpent", 1, "first"))
        session.receive_data(answer(protocol, "serpent", 1, "second"))
        assert session.next_answer() == Result("first", holds_references=False)
        call(session, "a")
        with pytest.raises(PyroError, match="got 1 expected 2"):
            session.next_answer()


@BOTH
@pytest.mark.parametrize("surplus", [b"P", b"PYRO", "answer"])
def test_what_follows_an_answer_is_not_forgotten(protocol, surplus):
    if surplus == "answer":
        surplus = answer(protocol, "serpent", 1, "old")
    found = []
    for session in both(protocol):
        call(session, "a")
        pieces = [answer(protocol, "serpent", 1, "yes") + surplus, answer(protocol, "serpent", 2, "and so on")]
        found.append(what_comes_of(session, pieces))
    assert found[0] == found[1]


@BOTH
def test_a_ping_is_not_answered_by_a_result(protocol):
    for session in both(protocol):
        session.ping()
        session.receive_data(answer(protocol, "serpent", 1, "pong"))
        with pytest.raises(PyroError, match="invalid msg type 5"):
            session.next_answer()


def test_a_result_that_comes_before_the_welcome_shows_the_protocol():
    found = []
    for settings in (Settings(), WITHOUT):
        session = ClientSession(PYRO4, "there:1", settings)
        call(session, "a")
        found.append(what_comes_of(session, [answer(PYRO4, "serpent", 1, 1), answer(PYRO5, "serpent", 2, 1)]))
    assert found[0] == found[1]


@BOTH
def test_another_serializer_that_was_tried_meanwhile_changes_nothing(protocol):
    for session in both(protocol):
        call(session, "a", serializer="json")
        with pytest.raises(PyroError, match="under way"):
            call(session, "a", serializer="marshal")
        session.receive_data(answer(protocol, "json", 1, ["yes"]))
        assert session.next_answer() == Result(["yes"], holds_references=False)


@st.composite
def conversations(draw):
    """What a daemon sends to a call and those after it: damaged or not, in pieces of any size."""
    protocol = draw(st.sampled_from([PYRO4, PYRO5]))
    value = draw(st.sampled_from([URI("PYRO:a@b:1"), "text", ["Proxy", None]]))
    data = bytearray(b"".join(answer(protocol, "serpent", number, value) for number in (1, 2, 3)))
    one = len(data) // 3
    for _ in range(draw(st.integers(0, 2))):
        position = draw(st.integers(0, len(data) - 1))
        kind = draw(st.sampled_from(["change", "remove", "insert"]))
        if kind == "change":
            data[position] = draw(st.integers(0, 255))
        elif kind == "remove":
            del data[position]
        else:
            data.insert(position, draw(st.integers(0, 255)))
    cuts = sorted(draw(st.sets(st.sampled_from([one, 2 * one]) | st.integers(0, len(data)), max_size=4)))
    return protocol, [bytes(data[a:b]) for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@given(conversations())
def test_damaged_answers_in_any_pieces_are_taken_the_same(conversation):
    protocol, pieces = conversation
    found = []
    for session in both(protocol):
        call(session, "a")
        found.append(what_comes_of(session, pieces))
    assert found[0] == found[1]
