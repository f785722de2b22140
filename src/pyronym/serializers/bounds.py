"""What one payload may make the readers build. Whoever sends more is told so; it costs neither memory nor time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from types import NoneType
from typing import Final

from pyronym.errors import SerializeError
from pyronym.serializers.classes import BatchFailure, RemoteReference
from pyronym.uri import URI

MAX_DEPTH: Final = 100
"""How many containers may be around a value. Real calls need five. Python's own functions (hash, repr, dumps) walk
nested data recursively: some raise RecursionError at a thousand levels, some crash the interpreter at a million."""

MAX_ELEMENTS: Final = 2_000_000
"""How many elements all containers of a value may have together; something that is referred to twice counts twice.
More than a list of names fills a message of the default maximum size with. An element costs up to 250 bytes when it is
an empty container, and some formats need one byte for it, so this and not the message's size limits the memory."""

MAX_INTEGER_BITS: Final = 14_280
"""Size of an integer. Python refuses to convert larger ones from and to decimal text (4300 digits): with this limit
serpent, json, marshal and pickle agree, and whatever was read can also be printed."""

FEW_KEYS: Final = 64
"""Up to this many keys of a dict or elements of a set, it does not matter if all have the same hash."""

_LEAVES: Final = frozenset([str, int, float, bool, NoneType, bytes, complex])
_SEQUENCES: Final = frozenset([list, tuple, set, frozenset])
_SAFE_KEYS: Final = frozenset([str, bytes])
"""Whose hashes are secret."""
_HASHABLE: Final = _LEAVES | {tuple, frozenset, URI}


class Budget:
    """Counts elements. SerializeError when there are too many.

    `left`: how many there may still be. Loops that read one element in half a microsecond count it down themselves.
    """

    __slots__ = ("left",)

    def __init__(self, elements: int = MAX_ELEMENTS) -> None:
        self.left = elements

    def spend(self, elements: int) -> None:
        """Take these from what is left."""
        self.left -= elements
        if self.left < 0:
            raise too_many()


def too_many() -> SerializeError:
    """The error for a value with too many elements."""
    return SerializeError(f"too many elements in one message (the limit is {MAX_ELEMENTS})")


def too_deep() -> SerializeError:
    """The error for a value that is nested too deep."""
    return SerializeError(f"value is nested too deep, or contains itself (the limit is {MAX_DEPTH} levels)")


def walk(value: object, budget: Budget) -> Iterator[object]:
    """`value` and everything in it, outer levels first. SerializeError once the limits are exceeded."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner: list[object] = []
        for item in level:
            yield item
            kind = type(item)
            if kind in _LEAVES:
                continue
            if kind in _SEQUENCES:
                assert isinstance(item, list | tuple | set | frozenset)
                budget.spend(len(item))
                inner.extend(item)
            elif kind is dict:
                assert isinstance(item, dict)
                budget.spend(2 * len(item))
                inner.extend(item)
                inner.extend(item.values())
            else:
                inner.extend(_parts(item))
        if not inner:
            return
        level = inner
    raise too_deep()


def _parts(item: object) -> tuple[object, ...]:
    if isinstance(item, BaseException):
        return item.args, vars(item)
    if isinstance(item, BatchFailure):
        return (item.exception,)
    if isinstance(item, RemoteReference):
        return (item.handshake,)
    return ()


def check_bounds(value: object) -> None:
    """SerializeError when `value` is too large or too deep, also where parts of it are shared or contain themselves."""
    for _ in walk(value, Budget()):
        pass


class Keys:
    """Guards one dict or set while it is filled with keys that a peer chose.

    The hashes of numbers are known to everyone. With keys of equal hash each insertion looks at all earlier ones: a
    message full of them keeps a processor busy for hours. (Texts and bytes are safe, their hashes are secret.)
    """

    __slots__ = ("_budget", "_count", "_hashes")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._count = 0
        self._hashes: set[int] = set()

    def check(self, keys: Iterable[object]) -> None:
        """To be called with all keys before they are inserted. SerializeError when they must not be."""
        for key in keys:
            kind = type(key)
            if kind in _SAFE_KEYS:
                continue
            if kind not in _LEAVES:
                self._check_hashable(key)
            self._count += 1
            self._hashes.add(hash(key))
        if self._count > FEW_KEYS and self._count > 2 * len(self._hashes):
            raise SerializeError("too many keys of a dict or elements of a set have the same hash")

    def _check_hashable(self, key: object) -> None:
        # Tuples do not remember their hash: one that contains itself many times over would be hashed for years.
        for item in walk(key, self._budget):
            if type(item) not in _HASHABLE or (type(item) is URI and not hasattr(item, "port")):
                raise SerializeError(f"a {type(item).__name__} cannot be a key of a dict or an element of a set")


def is_leaf(value: object) -> bool:
    """Whether `value` is plain data and no container."""
    return type(value) in _LEAVES


def make_dict(pairs: Collection[tuple[object, object]], budget: Budget) -> dict[object, object]:
    """A dict of `pairs`. SerializeError when their keys must not be."""
    _check_keys([key for key, _ in pairs], budget)
    return dict(pairs)


def make_set(elements: Collection[object], budget: Budget) -> set[object]:
    """A set of `elements`. SerializeError when they must not be in one."""
    _check_keys(elements, budget)
    return set(elements)


def are_safe_keys(keys: Iterable[object]) -> bool:
    """Whether `keys` are texts and bytes only, which `Keys` need not see."""
    return _SAFE_KEYS.issuperset(map(type, keys))


def _check_keys(keys: Collection[object], budget: Budget) -> None:
    if not are_safe_keys(keys):
        Keys(budget).check(keys)
