"""The pickle family: pickle, dill and cloudpickle differ in what they can write of programs, not in plain data.

Pickles are never executed, see `pickle_reader`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyronym.serializers.incoming import CallParts, call_parts
from pyronym.serializers.pickle_reader import read_pickle
from pyronym.serializers.pickle_writer import write_pickle


class PickleFormat:
    """Reads and writes pickles. `name`: of the member of the family."""

    def __init__(self, name: str) -> None:
        self.name = name

    def dumps(self, value: object) -> bytes:
        """`value` as a pickle. SerializeError when it cannot be written."""
        return write_pickle(value)

    def loads(self, data: bytes) -> object:
        """The value in `data`. SerializeError or SecurityError when there is none that may be read."""
        return read_pickle(data, is_answer=True)

    def dumps_call(self, object_id: str, method: str, args: Sequence[object], kwargs: Mapping[str, object]) -> bytes:
        """A call as a pickle."""
        return write_pickle((object_id, method, args, dict(kwargs)))

    def loads_call(self, data: bytes) -> CallParts:
        """The call in `data`; errors as in `loads`. It may contain nothing but plain data and URIs."""
        return call_parts(read_pickle(data, is_answer=False))
