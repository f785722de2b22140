"""The marshal format, version 4: what every Python from 3.4 up reads and writes."""

from __future__ import annotations

import marshal
from collections.abc import Mapping, Sequence
from typing import Final

from pyronym.errors import SerializeError
from pyronym.serializers.incoming import CallParts, call_parts, with_classes
from pyronym.serializers.marshal_reader import read_marshal
from pyronym.serializers.outgoing import to_plain

_VERSION: Final = 4


class MarshalFormat:
    """Reads and writes marshal for one protocol."""

    name = "marshal"

    def __init__(self, protocol: int) -> None:
        self._protocol = protocol

    def dumps(self, value: object) -> bytes:
        """`value` as marshal data. SerializeError when it cannot be written."""
        try:
            return marshal.dumps(to_plain(value, self._protocol), _VERSION)
        except (TypeError, ValueError) as problem:
            raise SerializeError(f"cannot write marshal data: {problem}") from problem

    def loads(self, data: bytes) -> object:
        """The value in `data`. SerializeError or SecurityError when there is none that may be read."""
        return with_classes(read_marshal(data), data)

    def dumps_call(self, object_id: str, method: str, args: Sequence[object], kwargs: Mapping[str, object]) -> bytes:
        """A call as marshal data."""
        return self.dumps((object_id, method, list(args), dict(kwargs)))

    def loads_call(self, data: bytes) -> CallParts:
        """The call in `data`; errors as in `loads`."""
        return call_parts(self.loads(data))
