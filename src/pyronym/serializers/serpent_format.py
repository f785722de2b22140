"""The serpent format: a header line, then a Python literal in UTF-8. Objects travel as dicts, bytes as base64 dicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyronym.errors import SerializeError
from pyronym.serializers.incoming import CallParts, call_parts, with_classes
from pyronym.serializers.serpent_reader import read_serpent
from pyronym.serializers.serpent_writer import write_serpent


class SerpentFormat:
    """Reads and writes serpent for one protocol."""

    name = "serpent"

    def __init__(self, protocol: int) -> None:
        self._protocol = protocol

    def dumps(self, value: object) -> bytes:
        """`value` as serpent. SerializeError when it cannot be written."""
        try:
            return write_serpent(value, self._protocol)
        except (TypeError, ValueError) as problem:
            raise SerializeError(f"cannot write serpent: {problem}") from problem

    def loads(self, data: bytes) -> object:
        """The value in `data`. SerializeError or SecurityError when there is none that may be read."""
        return with_classes(read_serpent(data), data)

    def dumps_call(self, object_id: str, method: str, args: Sequence[object], kwargs: Mapping[str, object]) -> bytes:
        """A call as serpent."""
        return self.dumps((object_id, method, args, dict(kwargs)))

    def loads_call(self, data: bytes) -> CallParts:
        """The call in `data`; errors as in `loads`."""
        return call_parts(self.loads(data))
