"""The writer for serpent, compared with the library byte for byte."""

import datetime
import decimal
import enum
import gc
from collections import OrderedDict, UserString, deque

import pytest
import serpent
from hypothesis import given
from hypothesis import strategies as st

from pyronym.errors import SerializeError
from pyronym.serializers.bounds import LIMITS
from pyronym.serializers.outgoing import TextPairs
from pyronym.serializers.serpent_writer import write_plain_call, write_serpent
from pyronym.uri import URI
from pyronym.wire.message import PYRO4, PYRO5

any_text = st.text(st.characters(exclude_categories=())) | st.text("'\"\\\n\r\t\0\x7f\xa0\ud800\udc00ä€😀#,")
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | any_text | st.binary(max_size=9)
)
keys = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.complex_numbers() | any_text | st.binary(max_size=3),
    lambda parts: st.tuples(parts, parts | st.none()),
    max_leaves=3,
)


def containers(parts):
    return (
        st.lists(parts, max_size=4)
        | st.lists(parts, max_size=4).map(tuple)
        | st.dictionaries(keys, parts, max_size=4)
        | st.sets(keys, max_size=4)
        | st.frozensets(keys, max_size=4)
    )


@given(st.recursive(scalars, containers, max_leaves=15))
def test_plain_data_is_written_as_the_library_writes_it(value):
    assert write_serpent(value, PYRO4) == serpent.dumps(value)


@given(st.dictionaries(any_text, any_text, max_size=4))
def test_pairs_of_texts_are_written_as_their_dict(value):
    pairs = TextPairs([(key, text, "more") for key, text in value.items()])
    assert write_serpent(pairs, PYRO4) == write_serpent(value, PYRO4)
    assert write_serpent((pairs,), PYRO4) == write_serpent((value,), PYRO4)


def test_many_pairs_of_texts_are_written_as_their_dict():
    value = {f"name {number}": f"text {number}" for number in range(2500)}
    pairs = TextPairs(list(value.items()))
    assert write_serpent(pairs, PYRO5) == write_serpent(value, PYRO5)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        float("-inf"),
        -0.0,
        1e300,
        complex(0.0, -0.0),
        complex("inf-infj"),
        complex("nan+infj"),
        complex(1, float("nan")),
    ],
    ids=repr,
)
def test_special_numbers_are_written_as_the_library_writes_them(value):
    assert write_serpent([value, {value: value}], PYRO4) == serpent.dumps([value, {value: value}])


class Colour(enum.Enum):
    RED = "red"


class Word(str):
    def __repr__(self):
        return "wrong"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Colour.RED, "red"),
        (Word("x"), "x"),
        (OrderedDict(a=1), {"a": 1}),
        (deque([1]), [1]),
        (UserString("x"), "x"),
        (decimal.Decimal("1.50"), "1.50"),
        (datetime.date(2020, 1, 2), "2020-01-02"),
        (bytearray(b"x"), b"x"),
    ],
    ids=repr,
)
def test_values_of_well_known_classes_are_written_like_plain_ones(value, plain):
    assert write_serpent([value, {"a": value}], PYRO4) == serpent.dumps([plain, {"a": plain}])


@pytest.mark.parametrize(("key", "plain"), [(Colour.RED, "red"), ((1, Word("x")), (1, "x")), (Word("x"), "x")])
def test_keys_of_well_known_classes_are_written_like_plain_ones(key, plain):
    assert write_serpent([{key: 1}, {key}], PYRO4) == serpent.dumps([{plain: 1}, {plain}])


@pytest.mark.parametrize(("protocol", "peer"), [(PYRO4, b"Pyro4"), (PYRO5, b"Pyro5")])
def test_objects_are_written_as_the_peer_names_them(protocol, peer):
    written = write_serpent({"at": (URI("PYRO:o@h:1"),)}, protocol)
    assert written == (
        b"# serpent utf-8 python3.2\n{'at':({'__class__':'" + peer + b".core.URI','state':('PYRO','o',None,'h',1)},)}"
    )


@pytest.mark.parametrize(
    "key", [None, frozenset([1]), URI("PYRO:o@h:1"), (1, URI("PYRO:o@h:1")), ValueError("x")], ids=repr
)
def test_what_no_reader_takes_as_a_key_is_not_written(key):
    for value in ({key: 1}, {key}):
        with pytest.raises((SerializeError, TypeError), match=r"cannot write serpent|unhashable"):
            write_serpent(value, PYRO4)


def test_nesting_is_limited():
    value: object = ()
    for _ in range(LIMITS.depth):
        value = (value,)
    assert write_serpent(value, PYRO4)
    with pytest.raises(SerializeError, match="nested too deep"):
        write_serpent((value,), PYRO4)


def test_the_garbage_collector_is_left_alone():
    gc.disable()
    try:
        write_serpent({"a": [1]}, PYRO4)
        assert not gc.isenabled()
    finally:
        gc.enable()


class Text(str):
    __slots__ = ()


argument = any_text | st.integers() | st.booleans() | st.none()
other = (
    st.floats()
    | st.binary(max_size=3)
    | st.lists(argument, max_size=2)
    | st.just(Text("a"))
    | st.just(URI("PYRO:a@b:1"))
)


@given(any_text, any_text, st.lists(argument | other, max_size=3).map(tuple))
def test_plain_calls_are_written_as_any_value_is(object_id, method, args):
    written = write_plain_call(object_id, method, args)
    assert written is None or written == write_serpent((object_id, method, args, {}), PYRO4)


def test_calls_with_texts_and_numbers_are_plain_others_are_not():
    assert write_plain_call("o", "m", ("größe", 1, True, None)) is not None
    for part in (1.0, b"x", [1], Text("a"), URI("PYRO:a@b:1")):
        assert write_plain_call("o", "m", ("a", part)) is None
