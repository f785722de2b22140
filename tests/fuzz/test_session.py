"""Whatever bytes a client sends, a session gives answers or closes: without a socket, and without an exception."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.frames import PROTOCOLS, Frame, captured, greetings
from fuzz.mutations import conversation
from fuzz.session import Host, answers
from pyronym.settings import Settings

ACCEPTED = ("serpent", "json", "marshal", "msgpack", "pickle", "dill", "cloudpickle")
SETTINGS = Settings(serializers_accepted=frozenset(ACCEPTED))
EVERY_PROTOCOL = pytest.mark.parametrize("protocol", PROTOCOLS)


def names(host: Host) -> set[str]:
    return {record.name for record in host.service.everything()}


@EVERY_PROTOCOL
@given(st.lists(st.binary(max_size=200), max_size=4), st.booleans())
def test_any_bytes(protocol: int, pieces: list[bytes], greeted: bool) -> None:
    start = [greetings(protocol)[0].wire()] if greeted else []
    answers(Host(SETTINGS), [*start, *pieces])


@EVERY_PROTOCOL
@given(
    st.integers(0, 8),
    st.integers(0, 8),
    st.integers(0, 255),
    st.binary(max_size=200),
    st.binary(max_size=60),
)
def test_any_payload(protocol: int, kind: int, serializer: int, flags: int, data: bytes, annotations: bytes) -> None:
    frame = Frame(protocol, kind, serializer, flags, 1, annotations, data)
    answers(Host(SETTINGS), [greetings(protocol)[0].wire(), frame.wire()])


@EVERY_PROTOCOL
@pytest.mark.parametrize("key", [None, b"key"], ids=["plain", "signed"])
@pytest.mark.parametrize("seed", range(10))
def test_mutated_messages(protocol: int, key: bytes | None, seed: int) -> None:
    random = Random(seed)
    for _ in range(10):
        host = Host(SETTINGS)
        answers(host, conversation(random, protocol, 8, key), key)
        assert "Pyro.NameServer" in names(host)


@EVERY_PROTOCOL
def test_captured_messages_are_answered(protocol: int) -> None:
    """Else the mutations of them would all be refused for the same reason, and prove nothing."""
    start = greetings(protocol)[0].wire()
    greeting = answers(Host(SETTINGS), [start])
    host = Host(SETTINGS)
    calls = [frame for frame in captured(protocol) if frame.kind == 4 and not frame.flags & 4]
    answered = [answers(host, [start, frame.wire()]) for frame in calls]
    assert len(calls) > 100
    assert all(len(answer) > len(greeting) for answer in answered)
