"""Values on their way out: everything is made plain data, which every format can write."""

from __future__ import annotations

from array import array
from collections import UserDict, UserList, UserString, deque
from collections.abc import Callable, Collection, ItemsView, Iterator, KeysView, Sequence, ValuesView
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from operator import itemgetter
from types import NoneType
from typing import Any, Final
from uuid import UUID

from pyronym.serializers.bounds import LIMITS, too_deep
from pyronym.serializers.classes import BatchFailure, class_dict
from pyronym.uri import URI

_SLICE: Final = 1000
"""Pairs that are made parts of a dict in one step, in which no other thread has a turn: 0.2 milliseconds."""


class TextPairs:
    """What travels as a dict of texts, of which only its writers know how to come by it quickly.

    `pairs`: tuples that begin with a key and its value, both of them of exactly the class str. No key is there twice.
    """

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Sequence[tuple[Any, ...]]) -> None:
        self._pairs = pairs

    def __len__(self) -> int:
        return len(self._pairs)

    def slices(self) -> Iterator[Sequence[tuple[Any, ...]]]:
        """The pairs, a thousand at a time."""
        for start in range(0, len(self._pairs), _SLICE):
            yield self._pairs[start : start + _SLICE]

    def as_dict(self) -> dict[str, object]:
        """The dict."""
        made: dict[str, object] = {}
        for part in self.slices():
            made.update(map(itemgetter(0, 1), part))
        return made


_LEAVES: Final = frozenset([str, int, float, bool, NoneType, bytes, complex])

_CONTAINERS: Final = frozenset([list, tuple, dict, set, frozenset])

_TRAVELLERS: Final = (URI, BaseException, BatchFailure)
"""Of which `classes` knows how they travel."""

# Not str(value) and the like: a subclass may have it return itself.
_BASES: Final[tuple[tuple[type, Callable[[Any], object]], ...]] = (
    (dict, dict),
    (list, list),
    (tuple, tuple),
    (set, set),
    (frozenset, frozenset),
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (complex, complex.__complex__),
    (bytes, bytes.__bytes__),
)


def _sorted_where_possible(elements: Collection[Any]) -> list[Any]:
    try:
        return sorted(elements)
    except TypeError:
        return list(elements)


_CONVERSIONS: Final[tuple[tuple[type | tuple[type, ...], Callable[[Any], object]], ...]] = (
    (Enum, lambda member: member.value),
    ((set, frozenset), _sorted_where_possible),
    ((datetime, date), lambda moment: moment.isoformat()),
    (timedelta, lambda duration: duration.total_seconds()),
    ((Decimal, UUID, time, UserString), str),
    (array, lambda numbers: numbers.tounicode() if numbers.typecode in ("u", "w") else numbers.tolist()),
    ((deque, UserList, KeysView, ValuesView, ItemsView), list),
    (UserDict, dict),
    (TextPairs, TextPairs.as_dict),
    ((bytearray, memoryview), bytes),
)
"""Classes of the standard library, and what their instances travel as."""


def of_plain_class(value: Any) -> Any:
    """An instance of a subclass of a plain class as an instance of that plain class; any other value itself."""
    if not isinstance(value, Enum):
        for base, convert in _BASES:
            if isinstance(value, base):
                return convert(value)
    return value


def of_standard_class(value: Any) -> Any:
    """What an instance of a class of the standard library travels as; any other value itself. Sets become lists."""
    for kinds, convert in _CONVERSIONS:
        if isinstance(value, kinds):
            return convert(value)
    return value


def simplified(value: object, protocol: int) -> object:
    """`value` one step nearer to plain data: what it travels as, in which there may be objects again.

    For values that a format does not know. SerializeError when there is no such form.
    """
    if isinstance(value, _TRAVELLERS):  # first, for asking for all classes of the standard library takes 2 us
        return class_dict(value, protocol)
    plain = of_standard_class(value)
    return class_dict(value, protocol) if plain is value else plain


def is_plain(value: Any, depth: int = 0) -> bool:
    """Whether `value` and everything in it is of exactly Python's own classes, so that it may be written as it is.

    SerializeError when it is nested too deep.
    """
    kind = type(value)
    if kind in _LEAVES:
        return True
    if kind not in _CONTAINERS:
        return False
    if depth > LIMITS.depth:
        raise too_deep()
    # All of a container's elements at once: 15 ns for each, a third of what a loop takes.
    parts = value
    if kind is dict:
        if not _LEAVES.issuperset(map(type, value)) and not all(is_plain(key, depth + 1) for key in value):
            return False
        parts = value.values()
    if _LEAVES.issuperset(map(type, parts)):
        return True
    for part in parts:  # noqa: SIM110  # `all` with a generator takes twice as long for small containers
        if not is_plain(part, depth + 1):
            return False
    return True


def to_plain(value: Any, protocol: int) -> Any:
    """`value` with everything in it made plain data of exactly Python's own classes, sets included.

    SerializeError when something in it has no such form, or when it is nested too deep.
    """
    return value if is_plain(value) else _to_plain(value, protocol, 0)


def _to_plain(value: Any, protocol: int, depth: int) -> Any:
    kind = type(value)
    if kind in _LEAVES:
        return value
    if depth > LIMITS.depth:
        raise too_deep()
    if kind is dict:
        return {
            _to_plain(key, protocol, depth + 1): _to_plain(part, protocol, depth + 1) for key, part in value.items()
        }
    if kind in _CONTAINERS:
        return kind([part if type(part) in _LEAVES else _to_plain(part, protocol, depth + 1) for part in value])
    return _to_plain(one_step(value, protocol), protocol, depth + 1)


def one_step(value: object, protocol: int) -> object:
    """What is no plain data one step nearer to it, as `simplified`, but also instances of subclasses."""
    if isinstance(value, _TRAVELLERS):
        return class_dict(value, protocol)
    plain = of_plain_class(value)
    return simplified(value, protocol) if plain is value else plain
