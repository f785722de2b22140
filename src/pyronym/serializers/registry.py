"""Which serializers there are: the two protocols have different ones, and different numbers for the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol

from pyronym.errors import SerializeError
from pyronym.serializers.incoming import CallParts
from pyronym.serializers.json_format import JsonFormat
from pyronym.serializers.marshal_format import MarshalFormat
from pyronym.serializers.msgpack_format import MsgpackFormat
from pyronym.serializers.pickle_format import PickleFormat
from pyronym.serializers.serpent_format import SerpentFormat
from pyronym.wire.message import PYRO4, PYRO5


class Serializer(Protocol):
    """Turns values into payload bytes and back, in the dialect of one protocol.

    Values are plain data, `URI`, exceptions, and `BatchFailure` and `RemoteReference` of `serializers.classes`. Other
    objects can be written, as dicts with their attributes and ``__class__``, but not read.

    All methods raise SerializeError, whatever bytes or values they are given; the reading ones also SecurityError,
    where the bytes ask for something that is refused on principle.
    """

    @property
    def name(self) -> str:
        """As in the settings: ``serpent``, ``json`` ..."""
        ...

    def dumps(self, value: object) -> bytes:
        """`value` as bytes."""
        ...

    def loads(self, data: bytes) -> object:
        """The value in `data`."""
        ...

    def dumps_call(self, object_id: str, method: str, args: Sequence[object], kwargs: Mapping[str, object]) -> bytes:
        """A call as bytes. In a batch, `args` is the list of calls, each (method, args, kwargs)."""
        ...

    def loads_call(self, data: bytes) -> CallParts:
        """Object id, method, arguments and keyword arguments. The calls in a batch's arguments are not checked."""
        ...


_BY_ID: Final[Mapping[int, Mapping[int, Serializer]]] = MappingProxyType(
    {
        PYRO4: MappingProxyType(
            {
                1: SerpentFormat(PYRO4),
                2: JsonFormat(PYRO4),
                3: MarshalFormat(PYRO4),
                4: PickleFormat("pickle"),
                5: PickleFormat("dill"),
                6: MsgpackFormat(PYRO4),
                7: PickleFormat("cloudpickle"),
            }
        ),
        PYRO5: MappingProxyType(
            {
                1: SerpentFormat(PYRO5),
                2: MarshalFormat(PYRO5),
                3: JsonFormat(PYRO5),
                4: MsgpackFormat(PYRO5),
            }
        ),
    }
)

_IDS: Final[Mapping[tuple[int, str], int]] = MappingProxyType(
    {
        (protocol, serializer.name): number
        for protocol, serializers in _BY_ID.items()
        for number, serializer in serializers.items()
    }
)


def serializer_by_id(protocol: int, serializer_id: int) -> Serializer:
    """The serializer that messages of `protocol` name by this number. SerializeError when there is none."""
    try:
        return _BY_ID[protocol][serializer_id]
    except KeyError:
        known = ", ".join(f"{number} {serializer.name}" for number, serializer in _BY_ID[protocol].items())
        raise SerializeError(f"no serializer available for id {serializer_id} (available: {known})") from None


def serializer_by_name(protocol: int, name: str) -> Serializer:
    """The serializer of `protocol` with this name. SerializeError when there is none."""
    return _BY_ID[protocol][serializer_id(protocol, name)]


def serializer_id(protocol: int, name: str) -> int:
    """The number by which messages of `protocol` name this serializer. SerializeError when there is none."""
    try:
        return _IDS[protocol, name]
    except KeyError:
        known = ", ".join(serializer.name for serializer in _BY_ID[protocol].values())
        raise SerializeError(f"serializer '{name}' is unknown or not available (available: {known})") from None
