"""Reads the marshal format, versions 0 to 4, as far as it is plain data.

Python's own `marshal.loads` trusts its input: bytes from a stranger can crash the interpreter, or make it build code
objects. The format is that of ``Python/marshal.c``; numbers are little-endian. Each value starts with a type byte. Its
highest bit says that the value gets the next number in a list, by which later values refer to it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from pyronym.errors import SerializeError
from pyronym.serializers.bounds import (
    LIMITS,
    MAX_INTEGER_BITS,
    Budget,
    check_repeated,
    make_dict,
    make_set,
    too_deep,
)

_REMEMBERED: Final = 0x80
_NULL: Final = ord("0")
_REFERENCE: Final = ord("r")
_DIGIT_BITS: Final = 15

_SHORT_TEXTS: Final = b"zZ"

_UNFINISHED: Final = object()


def read_marshal(data: bytes) -> object:
    """The value in `data`. SerializeError when there is none, or more than plain data."""
    reader = _Reader(data)
    try:
        value = reader.value(0)
    except ValueError as problem:  # text in a wrong encoding, a number that is none
        raise SerializeError(f"invalid marshal data: {problem}") from problem
    if reader.position != len(data):
        raise SerializeError(f"invalid marshal data: {len(data) - reader.position} bytes after the value")
    if reader.has_references:
        check_repeated(value, data)
    return value


class _Reader:
    """`has_references`: values were referred to, so that the whole may be larger and deeper than what was read."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0
        self.has_references = False
        self._remembered: list[object] = []
        self._budget = Budget()

    def take(self, size: int) -> bytes:
        start = self.position
        if not 0 <= size <= len(self._data) - start:
            raise SerializeError(f"invalid marshal data: {size} bytes announced, {len(self._data) - start} are left")
        self.position = start + size
        return self._data[start : self.position]

    def byte(self) -> int:
        position = self.position
        if position >= len(self._data):
            raise SerializeError("invalid marshal data: it is cut off")
        self.position = position + 1
        return self._data[position]

    def short(self) -> int:
        return int.from_bytes(self.take(2), "little")

    def long(self) -> int:
        return int.from_bytes(self.take(4), "little", signed=True)

    def value(self, depth: int) -> object:
        """The next value, in a container of the level `depth`."""
        code = self.byte()
        kind = code & ~_REMEMBERED
        if kind in _SHORT_TEXTS:
            value: object = self._short_text()
        elif kind in _CONSTANTS:
            return _CONSTANTS[kind]
        elif kind in _CONTAINERS:
            return self._container(kind, code != kind, depth + 1)
        elif kind == _REFERENCE:
            return self._reference()
        elif kind in _SCALARS:
            value = _SCALARS[kind](self)
        else:
            raise SerializeError(f"invalid marshal data: type {chr(kind)!r} is not plain data")
        if code != kind:
            self._remembered.append(value)
        return value

    def _short_text(self) -> str:
        start = self.position + 1
        end = start + self.byte()
        if end > len(self._data):
            raise SerializeError(f"invalid marshal data: a text of {end - start} bytes is cut off")
        self.position = end
        return self._data[start:end].decode("ascii")

    def _container(self, kind: int, remembered: bool, depth: int) -> object:
        if not remembered:
            return _CONTAINERS[kind](self, depth)
        index = len(self._remembered)  # the number is taken before the parts get theirs
        self._remembered.append(_UNFINISHED)
        value = self._remembered[index] = _CONTAINERS[kind](self, depth)
        return value

    def _reference(self) -> object:
        index = self.long()
        if not 0 <= index < len(self._remembered) or self._remembered[index] is _UNFINISHED:
            raise SerializeError(f"invalid marshal data: a reference to value {index}, which is not complete")
        self.has_references = True
        return self._remembered[index]

    def parts(self, size: int, depth: int) -> list[object]:
        if not 0 <= size <= len(self._data) - self.position:
            raise SerializeError(f"invalid marshal data: {size} elements announced, more than there can be")
        self._spend(size, depth)
        return [self.value(depth) for _ in range(size)]

    def _spend(self, elements: int, depth: int) -> None:
        self._budget.spend(elements)
        if elements and depth > LIMITS.depth:
            raise too_deep()

    def read_dict(self, depth: int) -> dict[object, object]:
        pairs: list[tuple[object, object]] = []
        while self._next_code() != _NULL:
            self._spend(2, depth)
            pairs.append((self.value(depth), self.value(depth)))
        self.byte()
        return make_dict(pairs, self._budget)

    def _next_code(self) -> int:
        code = self.byte() & ~_REMEMBERED
        self.position -= 1
        return code

    def read_set(self, depth: int) -> set[object]:
        return make_set(self.parts(self.long(), depth), self._budget)

    def integer(self) -> int:
        """An integer of any size: the number of digits, negative for a negative integer, then 15 bits for each."""
        size = self.long()
        if abs(size) * _DIGIT_BITS > MAX_INTEGER_BITS:
            raise SerializeError(f"invalid marshal data: integer of more than {MAX_INTEGER_BITS} bits")
        result = 0
        for place in range(abs(size)):
            digit = self.short()
            if digit >> _DIGIT_BITS:
                raise SerializeError("invalid marshal data: digit out of range in an integer")
            result |= digit << (_DIGIT_BITS * place)
        return -result if size < 0 else result

    def double(self) -> float:
        (number,) = struct.unpack("<d", self.take(8))
        assert isinstance(number, float)
        return number

    def decimal(self) -> float:
        """A floating point number as text."""
        return float(self.take(self.byte()))

    def text(self) -> str:
        return self.take(self.long()).decode("utf-8", "surrogatepass")


_CONSTANTS: Final[dict[int, object]] = {ord("N"): None, ord("T"): True, ord("F"): False}

_SCALARS: Final[dict[int, Callable[[_Reader], object]]] = {
    ord("i"): _Reader.long,
    ord("I"): lambda reader: int.from_bytes(reader.take(8), "little", signed=True),
    ord("l"): _Reader.integer,
    ord("f"): _Reader.decimal,
    ord("g"): _Reader.double,
    ord("x"): lambda reader: complex(reader.decimal(), reader.decimal()),
    ord("y"): lambda reader: complex(reader.double(), reader.double()),
    ord("s"): lambda reader: reader.take(reader.long()),
    ord("u"): _Reader.text,
    ord("t"): _Reader.text,
    ord("a"): lambda reader: reader.take(reader.long()).decode("ascii"),
    ord("A"): lambda reader: reader.take(reader.long()).decode("ascii"),
}

_CONTAINERS: Final[dict[int, Callable[[_Reader, int], object]]] = {
    ord("("): lambda reader, depth: tuple(reader.parts(reader.long(), depth)),
    ord(")"): lambda reader, depth: tuple(reader.parts(reader.byte(), depth)),
    ord("["): lambda reader, depth: reader.parts(reader.long(), depth),
    ord("{"): _Reader.read_dict,
    ord("<"): _Reader.read_set,
    ord(">"): lambda reader, depth: frozenset(reader.read_set(depth)),
}
