"""Writes the serpent format, byte for byte as the serpent library does.

The library is not used for it: it takes twice the time, asks to have everything made plain before, which takes as long
again, and switches the garbage collector of the whole process off and on for every value.
"""

from __future__ import annotations

import base64
from math import copysign, isinf, isnan
from types import NoneType
from typing import Any, Final

from pyronym.errors import SerializeError
from pyronym.serializers.bounds import LIMITS, too_deep
from pyronym.serializers.outgoing import TextPairs, one_step, to_plain

_HEADER: Final = "# serpent utf-8 python3.2\n"
_LITERALS: Final = frozenset([str, int, bool, NoneType])
"""Classes whose repr is what is written."""
_KEYS: Final = frozenset([str, int, bool, float, complex, bytes, tuple])


def write_serpent(value: object, protocol: int) -> bytes:
    """`value` as serpent; objects in it as the dicts as which they travel to peers that speak `protocol`.

    SerializeError when something in it has no such form, or when it is nested too deep.
    """
    if type(value) is TextPairs:
        return _text_pairs(value)
    return (_HEADER + _Writer(protocol).text(value, 0)).encode("utf-8")


def write_plain_call(object_id: str, method: str, args: tuple[object, ...]) -> bytes | None:
    """As `write_serpent` of a call without keyword arguments, None unless all arguments are texts, numbers and such.

    To write ``lookup(name)`` this way takes a third of the time.
    """
    for part in args:
        if type(part) not in _LITERALS:
            return None
    elements = f"{args[0]!r}," if len(args) == 1 else ",".join([repr(part) for part in args])
    return f"{_HEADER}({object_id!r},{method!r},({elements}),{{}})".encode()


def _text_pairs(pairs: TextPairs) -> bytes:
    # Two hundred thousand names: 75 ms, where to make a dict first and to write that took 190. And each of the steps is
    # short, as others want their turn: making that dict was one of 45 to 65.
    pieces = [",".join([f"{pair[0]!r}:{pair[1]!r}" for pair in part]).encode() for part in pairs.slices()] or [b""]
    pieces[0] = f"{_HEADER}{{".encode() + pieces[0]
    pieces[-1] += b"}"
    return b",".join(pieces)


class _Writer:
    def __init__(self, protocol: int) -> None:
        self._protocol = protocol

    def text(self, value: Any, depth: int) -> str:
        kind = type(value)
        if kind in _LITERALS:
            return repr(value)
        if depth > LIMITS.depth:
            raise too_deep()
        if kind is dict:
            return self._dict(value, depth + 1)
        if kind is tuple:
            return f"({self._elements(value, depth + 1)}{',' if len(value) == 1 else ''})"
        if kind is list:
            return f"[{self._elements(value, depth + 1)}]"
        if kind is float:
            return _float(value)
        if kind is complex:
            return _complex(value)
        if kind is bytes:
            return repr({"data": base64.b64encode(value).decode("ascii"), "encoding": "base64"})
        if kind is set or kind is frozenset:
            return self._set(value, depth + 1)
        return self.text(one_step(value, self._protocol), depth + 1)

    def _elements(self, elements: Any, depth: int) -> str:
        return ",".join([repr(part) if type(part) in _LITERALS else self.text(part, depth) for part in elements])

    def _dict(self, value: dict[Any, Any], depth: int) -> str:
        # Two hundred thousand names: 40 ms with this, 110 with the library.
        pairs = [
            f"{key!r}:{part!r}"
            if type(key) is str and type(part) in _LITERALS
            else f"{self._key(key, depth)}:{self.text(part, depth)}"
            for key, part in value.items()
        ]
        return f"{{{','.join(pairs)}}}"

    def _set(self, elements: Any, depth: int) -> str:
        if not elements:
            return "()"  # there is no literal for an empty set
        return f"{{{','.join([self._key(key, depth) for key in elements])}}}"

    def _key(self, key: Any, depth: int) -> str:
        if type(key) is str:
            return repr(key)
        plain = to_plain(key, self._protocol)
        if type(plain) not in _KEYS:
            raise SerializeError(
                f"cannot write serpent: a {type(key).__name__} is the key of a dict or in a set (expected a text, "
                "number, bytes or tuple)"
            )
        hash(plain)  # raises TypeError for a tuple in which an object became a dict
        return self.text(plain, depth)


def _float(value: float) -> str:
    if isnan(value):
        return "{'__class__':'float','value':'nan'}"
    if isinf(value):
        return "1e30000" if value > 0 else "-1e30000"  # read as infinite, because it is too large
    return repr(value)


def _complex(value: complex) -> str:
    real, imaginary = _float(value.real), _float(value.imag)
    if isnan(value.real) or isnan(value.imag):
        return f"{{'__class__':'complex','real':{real},'imag':{imaginary}}}"
    sign = "+" if copysign(1.0, value.imag) > 0 else ""
    return f"({real}{sign}{imaginary}j)"
