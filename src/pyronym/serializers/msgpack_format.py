"""The msgpack format, with ``use_bin_type``. Sets and tuples become arrays.

Extension types, as the stock peers define them (numbers little-endian): 0x30 a complex number as two doubles, 0x31 a
large integer as decimal text, 0x32 a datetime without time zone as its timestamp, 0x33 a date as its ordinal.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import msgpack

from pyronym.errors import SerializeError
from pyronym.serializers.bounds import LIMITS, Budget, check_bounds
from pyronym.serializers.incoming import CallParts, call_parts, with_classes
from pyronym.serializers.outgoing import simplified

_COMPLEX: Final = 0x30
_INTEGER: Final = 0x31
_DATETIME: Final = 0x32
_DATE: Final = 0x33

_NO_CONTAINERS: Final = bytes(code for code in range(256) if not (0x80 <= code <= 0x9F or 0xDC <= code <= 0xDF))
"""All bytes but those with which an array or a map begins."""


class MsgpackFormat:
    """Reads and writes msgpack for one protocol."""

    name = "msgpack"

    def __init__(self, protocol: int) -> None:
        self._protocol = protocol

    def dumps(self, value: object) -> bytes:
        """`value` as msgpack. SerializeError when it cannot be written."""
        try:
            data: bytes = msgpack.packb(value, default=self._replace)
        except (TypeError, ValueError, OverflowError, RecursionError) as problem:
            raise SerializeError(f"cannot write msgpack: {problem}") from problem
        return data

    def _replace(self, value: object) -> object:
        if isinstance(value, complex):
            return msgpack.ExtType(_COMPLEX, struct.pack("<dd", value.real, value.imag))
        if isinstance(value, int):
            return msgpack.ExtType(_INTEGER, str(value).encode("ascii"))
        if isinstance(value, datetime):
            if value.tzinfo is not None:
                raise SerializeError("msgpack cannot serialize datetime with timezone info (send its isoformat())")
            return msgpack.ExtType(_DATETIME, struct.pack("<d", value.timestamp()))
        if isinstance(value, date):
            return msgpack.ExtType(_DATE, struct.pack("<q", value.toordinal()))
        return simplified(value, self._protocol)

    def loads(self, data: bytes) -> object:
        """The value in `data`. SerializeError or SecurityError when there is none that may be read."""
        try:
            # Keys must be text or bytes, as for the stock peers. Others would need the guard of `bounds.Keys`.
            if len(data) <= LIMITS.elements:
                value = msgpack.unpackb(data, strict_map_key=True, ext_hook=_extension)
            else:
                count = _counter()
                value = msgpack.unpackb(
                    data,
                    strict_map_key=True,
                    ext_hook=_extension,
                    list_hook=count,
                    object_hook=count,
                    max_array_len=LIMITS.elements,  # one of 16 million would stop all other threads for 0.2 seconds
                    max_map_len=LIMITS.elements,
                )
        except (ValueError, TypeError, RecursionError, MemoryError, msgpack.UnpackException) as problem:
            raise SerializeError(f"invalid msgpack: {problem}") from problem
        # The elements are few, or have been counted. Nearly all payloads have too few containers to be nested too deep,
        # and need no walk through the value. It takes longer than reading it.
        if len(data.translate(None, _NO_CONTAINERS)) > LIMITS.depth:
            check_bounds(value)
        return with_classes(value, data)

    def dumps_call(self, object_id: str, method: str, args: Sequence[object], kwargs: Mapping[str, object]) -> bytes:
        """A call as msgpack."""
        return self.dumps((object_id, method, args, dict(kwargs)))

    def loads_call(self, data: bytes) -> CallParts:
        """The call in `data`; errors as in `loads`."""
        return call_parts(self.loads(data))


def _counter() -> Callable[[Any], object]:
    """A hook that refuses too many elements while they are built: an empty map is 1 byte here and 64 in memory."""
    budget = Budget()

    def count(container: Any) -> object:
        budget.spend(1 + (2 if type(container) is dict else 1) * len(container))
        return container

    return count


def _extension(code: int, data: bytes) -> object:
    try:
        if code == _COMPLEX:
            return complex(*struct.unpack("<dd", data))
        if code == _INTEGER:
            return int(data)
        if code == _DATETIME:
            return datetime.fromtimestamp(*struct.unpack("<d", data))
        if code == _DATE:
            return date.fromordinal(int.from_bytes(data, "little", signed=True))
    except (ValueError, OverflowError, OSError, struct.error) as problem:
        raise SerializeError(f"invalid msgpack extension 0x{code:02x}: {problem}") from problem
    raise SerializeError(f"invalid ext code for msgpack: {code} (expected 48 to 51)")
