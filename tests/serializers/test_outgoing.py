"""Making values plain before they are written."""

import array
import collections
import datetime
import decimal
import enum
import uuid

import pytest
from comparing import form, plain_data
from hypothesis import given

from pyronym.errors import SerializeError
from pyronym.serializers.outgoing import TextPairs, is_plain, simplified, to_plain
from pyronym.serializers.registry import serializer_by_name
from pyronym.uri import URI
from pyronym.wire.message import PYRO4, PYRO5


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Markup(str):
    def __str__(self):
        return self


class Word(bytes):
    def __bytes__(self):
        return self


class Number(int):
    pass


Pair = collections.namedtuple("Pair", "left right")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (datetime.datetime(2020, 1, 2, 3, 4, 5), "2020-01-02T03:04:05"),
        (datetime.date(2020, 1, 2), "2020-01-02"),
        (datetime.time(1, 2), "01:02:00"),
        (datetime.timedelta(minutes=1), 60.0),
        (decimal.Decimal("1.50"), "1.50"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (array.array("i", [1, 2]), [1, 2]),
        (array.array("u", "ab"), "ab"),
        (collections.deque([1]), [1]),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (collections.UserDict(a=1), {"a": 1}),
        (collections.UserList([1]), [1]),
        (collections.UserString("x"), "x"),
        ({"a": 1}.keys(), ["a"]),
        ({"a": 1}.values(), [1]),
        ({"a": 1}.items(), [("a", 1)]),
        (bytearray(b"x"), b"x"),
        (memoryview(b"x"), b"x"),
        (Pair(1, 2), (1, 2)),
        (Markup("x"), "x"),
        (Word(b"x"), b"x"),
        (Number(5), 5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_of_well_known_classes_become_plain(value, plain):
    assert form(to_plain(value, PYRO4)) == form(plain)
    assert form(to_plain({"a": (value,)}, PYRO4)) == form({"a": (plain,)})


@given(plain_data)
def test_plain_data_stays_as_it_is(value):
    assert form(to_plain(value, PYRO4)) == form(value)


@given(plain_data)
def test_plain_data_is_recognised_and_not_copied(value):
    assert is_plain(value)
    assert to_plain(value, PYRO4) is value


ODD = [Colour.RED, Markup("x"), Number(5), Pair(1, 2), collections.OrderedDict(), bytearray(), URI("PYRO:o@h:1"), ...]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_one_other_value_anywhere_is_not_plain(odd):
    many = list(range(1000))
    for value in (odd, [*many, odd], {"a": [(many, odd)]}, {1: {"a": odd}, 2: many}):
        assert not is_plain(value)


@pytest.mark.parametrize("odd", [odd for odd in ODD if type(odd).__hash__], ids=repr)
def test_one_other_key_is_not_plain(odd):
    for value in ({odd: 1}, {(1, odd): 1}, {odd}, frozenset([1, odd])):
        assert not is_plain(value)


def test_objects_become_dicts_wherever_they_are():
    uri = URI("PYRO:o@h:1")
    fields = {"__class__": "Pyro5.core.URI", "state": ("PYRO", "o", None, "h", 1)}
    problem = {"__class__": "builtins.ValueError", "__exception__": True, "args": (fields,), "attributes": {}}
    assert to_plain([uri, {"a": (ValueError(uri),)}], PYRO5) == [fields, {"a": (problem,)}]


def test_sets_are_simplified_to_lists_in_order_where_they_have_one():
    assert simplified({"b", "a", "c"}, PYRO4) == ["a", "b", "c"]
    assert simplified(frozenset([2, 1]), PYRO4) == [1, 2]
    assert sorted(map(str, simplified({1, "a"}, PYRO4))) == ["1", "a"]


def test_a_value_that_contains_itself_is_refused():
    value: dict[str, object] = {}
    value["self"] = [value]
    with pytest.raises(SerializeError, match="contains itself"):
        to_plain(value, PYRO4)


def test_an_object_that_contains_itself_is_refused():
    problem = ValueError("x")
    problem.cause = problem
    with pytest.raises(SerializeError, match="contains itself"):
        to_plain(problem, PYRO4)


@pytest.mark.parametrize("name", ["json", "marshal", "msgpack", "pickle"])
def test_pairs_of_texts_travel_as_their_dict_in_every_format(name):
    value = {f"name {number}": f"text {number}" for number in range(1001)}
    pairs = TextPairs([(key, text, None) for key, text in value.items()])
    serializer = serializer_by_name(PYRO4, name)
    assert serializer.loads(serializer.dumps(pairs)) == pairs.as_dict() == value
    assert len(pairs) == len(value)
