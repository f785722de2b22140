"""The json format: UTF-8, without escapes for other than ASCII characters. Sets and tuples become arrays.

The exact text is an interface: HTTP gateways hand it through to their own clients.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from json.scanner import py_make_scanner  # type: ignore[attr-defined]  # is in every CPython, not in the stubs
from typing import Final

from pyronym.errors import SerializeError
from pyronym.serializers.bounds import LIMITS, check_bounds, too_many
from pyronym.serializers.incoming import CallParts, call_parts, with_classes
from pyronym.serializers.outgoing import simplified

# The closing quote is optional, else a text without end would be searched again from each quote in it.
_TEXT_OR_MARK: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[,\[{]', re.DOTALL)


_DECODER: Final = json.JSONDecoder()
_PATIENT_DECODER: Final = json.JSONDecoder()
_PATIENT_DECODER.scan_once = py_make_scanner(_PATIENT_DECODER)  # type: ignore[attr-defined]  # how the standard library does it, too, without its C code
"""Ten times slower, and lets other threads run meanwhile: the one above stops them for up to 0.1 seconds."""

_MUCH: Final = 1_000_000
"""Bytes from which on a payload is read with patience."""

_WHITE_SPACE: Final = " \t\n\r"
_NO_MARKS: Final = bytes(code for code in range(256) if code not in b"[{,")
"""All bytes but those that each element of a container has, or the container. (Texts may contain them, too.)"""


class JsonFormat:
    """Reads and writes json for one protocol."""

    name = "json"

    def __init__(self, protocol: int) -> None:
        self._encoder = json.JSONEncoder(ensure_ascii=False, default=partial(simplified, protocol=protocol))

    def dumps(self, value: object) -> bytes:
        """`value` as json. SerializeError when it cannot be written."""
        try:
            return self._encoder.encode(value).encode("utf-8")
        except (TypeError, ValueError, RecursionError) as problem:
            raise SerializeError(f"cannot write json: {problem}") from problem

    def loads(self, data: bytes) -> object:
        """The value in `data`. SerializeError or SecurityError when there is none that may be read."""
        marks = data.translate(None, _NO_MARKS)
        most_elements = 2 * len(marks)  # a container has one more than it has commas; keys count, too
        if most_elements > LIMITS.elements:
            _count_elements(data)
        try:
            text = data.decode("utf-8").strip(_WHITE_SPACE)
            value, end = (_DECODER if len(text) < _MUCH else _PATIENT_DECODER).raw_decode(text)
        except (ValueError, RecursionError, MemoryError) as problem:
            raise SerializeError(f"invalid json: {problem}") from problem
        if end != len(text):
            raise SerializeError(f"invalid json: {len(text) - end} characters after the value")
        # Nearly all payloads have too few marks to exceed a limit, and need no walk through the value. It takes longer
        # than reading it.
        if most_elements > LIMITS.elements or len(marks) - marks.count(b",") > LIMITS.depth:
            check_bounds(value)
        return with_classes(value, data)

    def dumps_call(self, object_id: str, method: str, args: Sequence[object], kwargs: Mapping[str, object]) -> bytes:
        """A call as json."""
        return self.dumps({"object": object_id, "method": method, "params": args, "kwargs": kwargs})

    def loads_call(self, data: bytes) -> CallParts:
        """The call in `data`; errors as in `loads`."""
        call = self.loads(data)
        try:
            parts = call["object"], call["method"], call["params"], call["kwargs"]  # type: ignore[index]  # is caught
        except (TypeError, KeyError):
            raise SerializeError(
                "invalid call: expected an object with 'object', 'method', 'params' and 'kwargs'"
            ) from None
        return call_parts(parts)


def _count_elements(data: bytes) -> None:
    """Refuse far too many elements before they are built: an empty array is 2 bytes here and 64 in memory."""
    most = 2 * LIMITS.elements  # an element is at most a text, or an opening bracket, and the comma after it
    if sum(1 for _ in islice(_TEXT_OR_MARK.finditer(data), most + 1)) > most:
        raise too_many()
