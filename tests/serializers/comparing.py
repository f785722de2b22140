"""Comparing values that have no useful equality of their own, and strategies for generated ones."""

from __future__ import annotations

from hypothesis import strategies as st

from pyronym.serializers.classes import BatchFailure

MAX_INTEGER = 2**14_000

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.integers(-300, 300)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
)
names = st.text(max_size=8).filter(lambda name: name != "__class__")
keys = st.integers() | st.text(max_size=8) | st.tuples(st.integers(), st.text(max_size=3))


def containers(children: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Everything that Python's literals can say."""
    return (
        st.lists(children, max_size=4)
        | st.lists(children, max_size=4).map(tuple)
        | st.dictionaries(keys, children, max_size=4)
        | st.sets(keys, max_size=4)
    )


plain_data = st.recursive(
    scalars | st.binary(max_size=10) | st.complex_numbers(allow_nan=False), containers, max_leaves=15
)


def form(value: object) -> object:
    """Something that is equal for values that are alike, down to the classes of everything in them."""
    if isinstance(value, dict):
        return dict, [(form(key), form(part)) for key, part in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [form(part) for part in value]
    if isinstance(value, set | frozenset):
        return type(value), value
    if isinstance(value, BatchFailure):
        return BatchFailure, form(value.exception)
    if isinstance(value, BaseException):
        return type(value), form(value.args), form(vars(value))
    return type(value), repr(value) if isinstance(value, float) else value


def depth(value: object) -> int:
    """How many containers are around the innermost value."""
    parts: list[object] = []
    if isinstance(value, dict):
        parts = [*value, *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        parts = list(value)
    return 1 + max(map(depth, parts)) if parts else 0


def elements(value: object) -> int:
    """How many elements all containers have together."""
    if isinstance(value, dict):
        return 2 * len(value) + sum(map(elements, value)) + sum(map(elements, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return len(value) + sum(map(elements, value))
    return 0


def without_tuples_and_sets(value: object) -> object:
    """`value` as it is after a way through json or msgpack."""
    if isinstance(value, dict):
        return {key: without_tuples_and_sets(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [without_tuples_and_sets(part) for part in value]
    if isinstance(value, BatchFailure):
        return BatchFailure(value.exception)
    return value
