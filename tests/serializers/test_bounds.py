"""Limits on what one payload may build."""

import pytest

from pyronym.errors import SerializeError
from pyronym.serializers.bounds import (
    FEW_KEYS,
    LIMITS,
    MAX_INTEGER_BITS,
    MAX_REPEATED_TEXT,
    Budget,
    check_bounds,
    check_repeated,
    make_dict,
    make_set,
    walk,
)
from pyronym.serializers.classes import BatchFailure, RemoteReference
from pyronym.uri import URI


def nested(levels, innermost=()):
    value = innermost
    for _ in range(levels):
        value = (value,)
    return value


def laughs(levels=60):
    """A billion laughs: few objects, each containing the one before twice."""
    value = ("ha",)
    for _ in range(levels):
        value = (value, value)
    return value


def test_everything_in_a_value_is_visited():
    value = {"a": [1, (2.5,)], "b": {frozenset([3])}}
    visited = list(walk(value, Budget()))
    assert [part for part in visited if not isinstance(part, dict | list | tuple | set | frozenset)] == [
        "a",
        "b",
        1,
        2.5,
        3,
    ]


def test_exceptions_failures_and_references_are_entered():
    problem = ValueError(["in args"])
    problem.detail = "in attributes"
    parts = list(walk([BatchFailure(problem), RemoteReference(URI("PYRO:o@h:1"), handshake="in reference")], Budget()))
    assert {"in args", "in attributes", "in reference"} <= {part for part in parts if isinstance(part, str)}


def test_nesting_is_allowed_up_to_the_limit():
    check_bounds(nested(LIMITS.depth))
    with pytest.raises(SerializeError, match="nested too deep"):
        check_bounds(nested(LIMITS.depth + 1))


def test_a_value_that_contains_itself_is_refused():
    value: list[object] = []
    value.append(value)
    with pytest.raises(SerializeError, match="contains itself"):
        check_bounds(value)


def test_billion_laughs_are_refused():
    with pytest.raises(SerializeError, match="too many elements"):
        check_bounds(laughs())


def test_a_large_container_that_is_repeated_is_refused_without_copying_it_often():
    with pytest.raises(SerializeError, match="too many elements"):
        check_bounds([[0] * 100_000] * 100_000)


def test_as_many_elements_as_the_limit_says_are_allowed():
    Budget().spend(LIMITS.elements)
    with pytest.raises(SerializeError, match=f"the limit is {LIMITS.elements}"):
        Budget().spend(LIMITS.elements + 1)


def test_the_largest_integer_can_be_printed():
    assert str(2**MAX_INTEGER_BITS)


def test_dicts_and_sets_are_made():
    uri = URI("PYRO:o@h:1")
    assert make_dict([(1, "a"), ((2, "x"), "b"), (uri, "c")], Budget()) == {1: "a", (2, "x"): "b", uri: "c"}
    assert make_set([None, b"x", frozenset([1])], Budget()) == {None, b"x", frozenset([1])}


def test_many_numbers_are_good_keys():
    numbers = range(-2000, 2000)
    assert make_set(list(numbers), Budget()) == set(numbers)


@pytest.mark.parametrize("key", [[], {}, set(), (1, []), ValueError(), object.__new__(URI)], ids=lambda key: type(key))
def test_what_has_no_hash_is_refused_as_a_key(key):
    with pytest.raises(SerializeError, match="cannot be a key of a dict or an element of a set"):
        make_set([key], Budget())


def test_numbers_of_equal_hash_are_refused_as_keys():
    modulus = 2**61 - 1
    colliding = [place * modulus for place in range(1, FEW_KEYS + 2)]
    assert len({hash(key) for key in colliding}) == 1
    with pytest.raises(SerializeError, match="have the same hash"):
        make_dict([(key, None) for key in colliding], Budget())
    with pytest.raises(SerializeError, match="have the same hash"):
        make_set(colliding, Budget())


def test_billion_laughs_as_a_key_are_refused_before_they_are_hashed():
    with pytest.raises(SerializeError, match="too many elements"):
        make_set([laughs()], Budget(1000))


def test_deep_tuples_whose_hash_would_crash_the_interpreter_are_refused():
    with pytest.raises(SerializeError, match="nested too deep"):
        make_set([nested(10_000)], Budget())


def test_a_large_tuple_that_is_a_key_many_times_is_refused():
    large = tuple(range(1000))
    with pytest.raises(SerializeError, match="too many elements"):
        make_dict([((large, number), None) for number in range(20)], Budget(10_000))


def test_keys_of_equal_hash_are_refused_also_among_others():
    modulus = 2**61 - 1
    colliding = [place * modulus for place in range(1, FEW_KEYS + 2)]
    with pytest.raises(SerializeError, match="have the same hash"):
        make_set(colliding + list(range(1, 1000)), Budget())


def test_keys_that_crowd_a_dict_are_refused_although_no_two_hashes_are_equal():
    mask = (1 << 17) - 1
    place, keys = 1, []
    for _ in range(40_000):  # each is where dicts look after the one before
        keys.append(place)
        place = (5 * place + 1) & mask
    with pytest.raises(SerializeError, match="too many elements"):
        make_dict([(key, None) for key in keys], Budget())


def test_19_000_numbers_may_be_keys_of_one_dict_and_any_number_of_texts():
    assert len(make_dict([(key, None) for key in range(19_000)], Budget())) == 19_000
    assert len(make_dict([(f"{key}", None) for key in range(50_000)], Budget())) == 50_000
    assert len(make_set([("host", key) for key in range(50_000)], Budget())) == 50_000


def test_an_empty_text_makes_no_secret_of_a_tuples_hash():
    with pytest.raises(SerializeError, match="too many elements"):
        make_set([("", key) for key in range(25_000)], Budget())


def test_what_is_repeated_counts_each_time():
    check_repeated(laughs(19), b"")
    with pytest.raises(SerializeError, match="too many elements"):
        check_repeated(laughs(20), b"")


def test_laughs_are_counted_without_being_told_one_by_one():
    class Counted(tuple):
        __slots__ = ()
        looked = 0

        def __iter__(self):
            Counted.looked += 1
            return super().__iter__()

    value = Counted(["ha"])
    for _ in range(90):
        value = Counted([value, value])
    with pytest.raises(SerializeError, match="too many elements"):
        check_repeated(value, b"")
    assert Counted.looked == 91


def test_repeated_values_may_be_nested_up_to_the_limit():
    inner = nested(50)
    check_repeated([inner, nested(LIMITS.depth - 51, inner)], b"")
    with pytest.raises(SerializeError, match="nested too deep"):
        check_repeated([inner, nested(LIMITS.depth - 50, inner)], b"")


def test_a_repeated_value_that_contains_itself_is_refused():
    value: list[object] = []
    value.append([value])
    with pytest.raises(SerializeError, match="contains itself"):
        check_repeated(value, b"")


@pytest.mark.parametrize(
    "text", ["x" * 1000, b"x" * 1000, bytearray(1000), URI("PYRO:" + "x" * 1000 + "@h:1")], ids=lambda text: type(text)
)
def test_texts_that_are_repeated_without_end_are_refused(text):
    check_repeated([text] * 100, b"")
    with pytest.raises(SerializeError, match="texts are repeated too often"):
        check_repeated([text] * (MAX_REPEATED_TEXT // 1000 + 1), b"")
    check_repeated([text] * (MAX_REPEATED_TEXT // 1000 + 1), bytes(1_000_000))


def test_instances_of_a_forbidden_class_are_found_in_what_is_repeated():
    with pytest.raises(SerializeError, match="is used as a value"):
        check_repeated([[URI("PYRO:o@h:1")]], b"", forbidden=URI)
