"""The json format: UTF-8, without escapes for other than ASCII characters. Sets and tuples become arrays.

The exact text is an interface: HTTP gateways hand it through to their own clients.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Final

from pyronym.errors import SerializeError
from pyronym.serializers.bounds import MAX_ELEMENTS, too_many
from pyronym.serializers.incoming import CallParts, accepted, call_parts
from pyronym.serializers.outgoing import simplified

# The closing quote is optional, else a text without end would be searched again from each quote in it.
_TEXT_OR_MARK: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[,\[{]', re.DOTALL)


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
        if len(data) > MAX_ELEMENTS:
            _count_elements(data)
        try:
            value = json.loads(data.decode("utf-8"))
        except (ValueError, RecursionError, MemoryError) as problem:
            raise SerializeError(f"invalid json: {problem}") from problem
        return accepted(value, data)

    def dumps_call(self, object_id: str, method: str, args: Sequence[object], kwargs: Mapping[str, object]) -> bytes:
        """A call as json."""
        return self.dumps({"object": object_id, "method": method, "params": args, "kwargs": kwargs})

    def loads_call(self, data: bytes) -> CallParts:
        """The call in `data`; errors as in `loads`."""
        call = self.loads(data)
        if not isinstance(call, dict) or not {"object", "method", "params", "kwargs"} <= call.keys():
            raise SerializeError("invalid call: expected an object with 'object', 'method', 'params' and 'kwargs'")
        return call_parts((call["object"], call["method"], call["params"], call["kwargs"]))


def _count_elements(data: bytes) -> None:
    """Refuse far too many elements before they are built: an empty array is 2 bytes here and 64 in memory."""
    most = 2 * MAX_ELEMENTS  # an element is at most a text, or an opening bracket, and the comma after it
    if sum(1 for _ in islice(_TEXT_OR_MARK.finditer(data), most + 1)) > most:
        raise too_many()
