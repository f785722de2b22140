"""Everything that stock peers said to each other in the recordings, read and written back."""

import pytest

from captures.load import Failure, Raised, Reference, Uri, load
from pyronym.serializers.classes import BatchFailure, RemoteReference
from pyronym.serializers.exceptions import SHARED_ERRORS
from pyronym.serializers.registry import serializer_by_id
from pyronym.uri import URI
from pyronym.wire.message import PYRO4, PYRO5, MessageType

OUR_ATTRIBUTES = {"name", "reason"}
"""Of naming errors, from their words."""


def recorded(protocol):
    """The messages that carry a value."""
    understood = [exchange for exchange in load(protocol) if exchange.expected and not exchange.expected.unreadable]
    return [exchange for exchange in understood if exchange.expected.type != MessageType.PING]


def read(protocol, expected):
    serializer = serializer_by_id(protocol, expected.serializer_id)
    if expected.type == MessageType.INVOKE:
        return serializer.loads_call(expected.data)
    return serializer.loads(expected.data)


def as_recorded(value):
    """`value` in the classes of the recordings."""
    if isinstance(value, dict):
        return {key: as_recorded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(as_recorded(part) for part in value)
    if isinstance(value, URI):
        return Uri(str(value))
    if isinstance(value, RemoteReference):
        return Reference(str(value.uri))
    if isinstance(value, BatchFailure):
        return Failure(as_recorded(value.exception))
    if isinstance(value, Exception):
        attributes = sorted(vars(value).keys() - OUR_ATTRIBUTES)
        return Raised(stock_name(type(value)), [as_recorded(part) for part in value.args], attributes)
    return value


def stock_name(kind):
    return next(
        base.__name__ for base in kind.__mro__ if base.__name__ in SHARED_ERRORS or base.__module__ == "builtins"
    )


def comparable(value):
    """A recorded value without what is read differently on purpose: modules of exceptions, places of syntax errors."""
    if isinstance(value, Raised):
        name = value.name.rpartition(".")[2]
        return Raised(
            name, comparable(value.args[:1] if name == "SyntaxError" else value.args), sorted(value.attributes)
        )
    if isinstance(value, Failure):
        return Failure(comparable(value.exception))
    if isinstance(value, dict):
        return {key: comparable(part) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(comparable(part) for part in value)
    return value


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
def test_recorded_messages_are_read_as_the_stock_peer_reads_them(protocol):
    serializers = set()
    for exchange in recorded(protocol):
        value = as_recorded(read(protocol, exchange.expected))
        expected = comparable(exchange.expected.value)
        if exchange.expected.type == MessageType.INVOKE:
            value, expected = list(value), [*expected[:3], expected[3] or {}]
        assert value == expected, str(exchange)
        serializers.add(exchange.expected.serializer_id)
    assert serializers == set(range(1, 8 if protocol == PYRO4 else 5))


def has_free_order(value):
    """Whether the order in which the stock peer wrote something was that of a set."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return any(map(has_free_order, value))
    return isinstance(value, set | RemoteReference)


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
@pytest.mark.parametrize("name", ["serpent", "json", "msgpack"])
def test_recorded_answers_are_written_back_byte_for_byte(protocol, name):
    compared = 0
    for exchange in recorded(protocol):
        expected = exchange.expected
        serializer = serializer_by_id(protocol, expected.serializer_id)
        if serializer.name != name or exchange.direction == "client":
            continue
        value = serializer.loads(expected.data)
        if has_free_order(value) or isinstance(value, SyntaxError):
            continue
        assert serializer.dumps(value) == expected.data, str(exchange)
        compared += 1
    assert compared > 50
