"""What one payload may make the readers build. Whoever sends more is told so; it costs neither memory nor time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from types import NoneType
from typing import Final

from pyronym.errors import SerializeError
from pyronym.serializers.classes import BatchFailure, RemoteReference
from pyronym.uri import URI


class Limits:
    """What a payload may have at most, in all of this process: readers belong to no daemon. Change it at the start.

    `depth`: how many containers may be around a value. Real calls need five. Python's own functions (hash, repr, dumps)
    walk nested data recursively: some raise RecursionError at a thousand levels, some crash the interpreter at a
    million.

    `elements`: how many elements all containers of a value may have together; something that is referred to twice
    counts twice. More than a list of names fills a message of the default maximum size with. An element costs up to 250
    bytes when it is an empty container, and some formats need one byte for it, so this and not the message's size
    limits the memory.
    """

    __slots__ = ("depth", "elements")

    def __init__(self) -> None:
        self.depth = 100
        self.elements = 2_000_000


LIMITS: Final = Limits()

DEEPEST: Final = 150
"""What `Limits.depth` can be at most: the readers and writers walk nested data recursively, too."""

MAX_INTEGER_BITS: Final = 14_280
"""Size of an integer. Python refuses to convert larger ones from and to decimal text (4300 digits): with this limit
serpent, json, marshal and pickle agree, and whatever was read can also be printed."""

MAX_REPEATED_TEXT: Final = 32_000_000
"""Characters and bytes, beyond the size of the payload, that all texts of a value may have together where a payload can
refer to one text many times. A text that is repeated costs nothing, but whoever prints the value copies it."""

FEW_KEYS: Final = 64
"""Up to this many keys of a dict or elements of a set may have the same hash."""

_CROWD: Final = 200
"""So many keys of known hash cost each of them one more element of the budget, so that 20,000 of them in one dict are
all that a payload may have. Also keys of different hashes can be chosen so that dicts look for each of them at the
places of half of the others. That takes 0.1 seconds for 20,000 keys, and hours for a million."""

_KEY_COST: Final = 10
"""What each element of a key costs of the budget more: it is hashed each time that it is referred to."""

SET_COST: Final = 3
"""Elements that an empty set counts as: it takes four times the memory of an empty list."""

_TEXTS: Final = frozenset([str, bytes, bytearray])
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

    def __init__(self, elements: int | None = None) -> None:
        self.left = LIMITS.elements if elements is None else elements

    def spend(self, elements: int) -> None:
        """Take these from what is left."""
        self.left -= elements
        if self.left < 0:
            raise too_many()


def too_many() -> SerializeError:
    """The error for a value with too many elements."""
    return SerializeError(f"too many elements in one message (the limit is {LIMITS.elements})")


def too_deep() -> SerializeError:
    """The error for a value that is nested too deep."""
    return SerializeError(f"value is nested too deep, or contains itself (the limit is {LIMITS.depth} levels)")


def walk(value: object, budget: Budget) -> Iterator[object]:
    """`value` and everything in it, outer levels first. SerializeError once the limits are exceeded."""
    level = [value]
    for _ in range(LIMITS.depth + 1):
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


def check_repeated(value: object, payload: bytes, forbidden: tuple[type, ...] | type = ()) -> None:
    """As `check_bounds`, for what was read from a `payload` that may refer to one value many times.

    Each container is looked into once, for a few bytes of payload can stand for millions of elements. SerializeError
    also when an instance of a `forbidden` class is in it.
    """
    elements, text, _ = _Sizes(forbidden).of(value, 0)
    if elements > LIMITS.elements:
        raise too_many()
    if text > len(payload) + MAX_REPEATED_TEXT:
        raise SerializeError(f"texts are repeated too often in one message (the limit is {MAX_REPEATED_TEXT})")


class _Sizes:
    """How large values are when all that is in them more than once counts each time."""

    def __init__(self, forbidden: tuple[type, ...] | type) -> None:
        self._forbidden = forbidden
        self._known: dict[int, tuple[int, int, int]] = {}  # by id, of containers that are in a value that is held

    def of(self, item: object, depth: int) -> tuple[int, int, int]:
        """Elements, characters and bytes of texts, and levels of containers of an item of the level `depth`."""
        kind = type(item)
        if kind in _LEAVES:
            return 0, len(item) if kind in _TEXTS else 0, 0  # type: ignore[arg-type]  # a text
        known = self._known.get(id(item))
        if known is None:
            if depth > LIMITS.depth:
                raise too_deep()
            known = self._known[id(item)] = self._of_container(item, depth)
        if depth + known[2] > LIMITS.depth + 1:
            raise too_deep()
        return known

    def _of_container(self, item: object, depth: int) -> tuple[int, int, int]:
        if isinstance(item, dict):
            parts: Iterable[object] = chain(item, item.values())
            elements = 2 * len(item)
        elif isinstance(item, list | tuple | set | frozenset):
            parts, elements = item, len(item)
        else:
            if isinstance(item, self._forbidden):
                raise SerializeError(f"{item} is used as a value (expected plain data)")
            parts, elements = _parts(item), 0
        text = len(str(item)) if isinstance(item, URI) else len(item) if isinstance(item, bytearray) else 0
        levels = 0
        for part in parts:
            more_elements, more_text, levels_below = self.of(part, depth + 1)
            elements += more_elements
            text += more_text
            levels = max(levels, levels_below)
        return elements, text, levels + 1


class Keys:
    """Guards one dict or set while it is filled with keys that a peer chose.

    The hashes of numbers are known to everyone. With keys of equal hash each insertion looks at all earlier ones: a
    message full of them keeps a processor busy for hours. (Texts and bytes are safe, their hashes are secret.) So all
    other keys cost more of the budget the more of them there are.
    """

    __slots__ = ("_budget", "_count", "_hashes")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._count = 0
        self._hashes: dict[int, int] = {}

    def check(self, keys: Iterable[object]) -> None:
        """To be called with all keys before they are inserted. SerializeError when they must not be."""
        unsafe = [key for key in keys if type(key) not in _SAFE_KEYS]
        before = self._count
        self._count += sum(1 for key in unsafe if not _has_text(key))
        self._budget.spend(self._count**2 // _CROWD - before**2 // _CROWD)
        for key in unsafe:
            if type(key) not in _LEAVES:
                self._check_hashable(key)
            number = hash(key)
            same = self._hashes[number] = self._hashes.get(number, 0) + 1
            if same > FEW_KEYS:
                raise SerializeError("too many keys of a dict or elements of a set have the same hash")

    def _check_hashable(self, key: object) -> None:
        # Tuples do not remember their hash: one that contains itself many times over would be hashed for years.
        for item in walk(key, self._budget):
            self._budget.spend(_KEY_COST)
            if type(item) not in _HASHABLE or (type(item) is URI and not hasattr(item, "port")):
                raise SerializeError(f"a {type(item).__name__} cannot be a key of a dict or an element of a set")


def _has_text(key: object) -> bool:
    """Whether `key` is a tuple with a text, so that nobody knows its hash. (That of an empty text is always 0.)"""
    return type(key) is tuple and any(part and type(part) in _SAFE_KEYS for part in key)


def make_dict(pairs: Collection[tuple[object, object]], budget: Budget) -> dict[object, object]:
    """A dict of `pairs`. SerializeError when their keys must not be."""
    _check_keys([key for key, _ in pairs], budget)
    return dict(pairs)


def make_set(elements: Collection[object], budget: Budget) -> set[object]:
    """A set of `elements`. SerializeError when they must not be in one."""
    _check_keys(elements, budget)
    budget.spend(SET_COST)
    return set(elements)


def are_safe_keys(keys: Iterable[object]) -> bool:
    """Whether `keys` are texts and bytes only, which `Keys` need not see."""
    return _SAFE_KEYS.issuperset(map(type, keys))


def _check_keys(keys: Collection[object], budget: Budget) -> None:
    if len(keys) <= FEW_KEYS and _LEAVES.issuperset(map(type, keys)):
        return
    if not are_safe_keys(keys):
        Keys(budget).check(keys)
