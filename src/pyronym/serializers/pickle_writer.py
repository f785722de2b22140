"""Writes pickles of protocol 2, which every Pyro4 client can read, from Python 2.7 on.

Plain data, and instances of the peer's own classes: they are named, and built by the peer's unpickler from their state
or arguments. Nothing is remembered: a value that occurs twice is written twice.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable
from types import NoneType
from typing import Any, Final

from pyronym.errors import SerializeError
from pyronym.serializers.bounds import LIMITS, too_deep
from pyronym.serializers.classes import EXCEPTION_WRAPPERS, PEERS, BatchFailure, RemoteReference, reference_of
from pyronym.serializers.exceptions import name_and_args, travelling_attributes
from pyronym.serializers.outgoing import is_plain, of_plain_class, of_standard_class
from pyronym.uri import URI
from pyronym.wire.message import PYRO4

_PROTOCOL: Final = pickle.PROTO + b"\x02"


def write_pickle(value: object) -> bytes:
    """`value` as a pickle. SerializeError when something in it is neither plain data nor has a class known here."""
    if type(value) in _CONTAINERS and is_plain(value):
        return _plain_pickle(value)
    parts: list[bytes] = [_PROTOCOL]
    _write(value, parts, 0)
    parts.append(pickle.STOP)
    return b"".join(parts)


def _plain_pickle(value: object) -> bytes:
    """Python's own pickler on plain data: it takes a tenth of the time of what is below for 200,000 names."""
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, 2)
    pickler.fast = True  # it remembers nothing
    pickler.dump(value)
    return stream.getvalue()


def _write(value: Any, parts: list[bytes], depth: int) -> None:
    if depth > LIMITS.depth:
        raise too_deep()
    scalar = _SCALARS.get(type(value))
    if scalar is not None:
        parts.append(scalar(value))
        return
    container = _CONTAINERS.get(type(value))
    if container is not None:
        container(value, parts, depth + 1)
        return
    _write_object(value, parts, depth + 1)


def _integer(value: int) -> bytes:
    if -0x8000_0000 <= value <= 0x7FFF_FFFF:
        return pickle.BININT + struct.pack("<i", value)
    content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    if len(content) < 256:
        return pickle.LONG1 + bytes([len(content)]) + content
    return pickle.LONG4 + struct.pack("<i", len(content)) + content


def _text(value: str) -> bytes:
    content = value.encode("utf-8", "surrogatepass")
    return pickle.BINUNICODE + struct.pack("<I", len(content)) + content


def _bytes(value: bytes) -> bytes:
    encoded = _text(value.decode("latin-1")) + _text("latin1") + pickle.TUPLE2
    return _global("_codecs.encode") + encoded + pickle.REDUCE


def _global(name: str) -> bytes:
    module, _, attribute = name.rpartition(".")
    # Python 3 understands the old name as well, and every exception of Python 2 is there, too.
    module = "__builtin__" if module == "builtins" else module
    return pickle.GLOBAL + f"{module}\n{attribute}\n".encode()


def _complex(value: complex) -> bytes:
    return _global("builtins.complex") + _float(value.real) + _float(value.imag) + pickle.TUPLE2 + pickle.REDUCE


def _float(value: float) -> bytes:
    return pickle.BINFLOAT + struct.pack(">d", value)


def _write_list(value: list[object], parts: list[bytes], depth: int) -> None:
    parts.append(pickle.EMPTY_LIST + pickle.MARK)
    for part in value:
        _write(part, parts, depth)
    parts.append(pickle.APPENDS)


def _write_tuple(value: tuple[object, ...], parts: list[bytes], depth: int) -> None:
    parts.append(pickle.MARK)
    for part in value:
        _write(part, parts, depth)
    parts.append(pickle.TUPLE)


def _write_dict(value: dict[object, object], parts: list[bytes], depth: int) -> None:
    parts.append(pickle.EMPTY_DICT + pickle.MARK)
    for key, part in value.items():
        _write(key, parts, depth)
        _write(part, parts, depth)
    parts.append(pickle.SETITEMS)


def _write_set(value: set[object] | frozenset[object], parts: list[bytes], depth: int) -> None:
    parts.append(_global(f"builtins.{type(value).__name__}"))
    _write_list(list(value), parts, depth)
    parts.append(pickle.TUPLE1 + pickle.REDUCE)


def _write_object(value: object, parts: list[bytes], depth: int) -> None:
    if isinstance(value, URI):
        _write_instance("Pyro4.core.URI", value.__getstate__(), parts, depth)
    elif isinstance(value, BatchFailure):
        _write_instance(EXCEPTION_WRAPPERS[PYRO4], {"exception": value.exception}, parts, depth)
    elif isinstance(value, BaseException):
        _write_exception(value, parts, depth)
    elif (reference := reference_of(value)) is not None:
        _write_instance("Pyro4.core.Proxy", _proxy_state(reference), parts, depth)
    else:
        _write(_without_class(value), parts, depth)


def _write_instance(name: str, state: object, parts: list[bytes], depth: int) -> None:
    parts.append(_global(name) + pickle.EMPTY_TUPLE + pickle.NEWOBJ)
    _write(state, parts, depth)
    parts.append(pickle.BUILD)


def _write_exception(problem: BaseException, parts: list[bytes], depth: int) -> None:
    name, args = name_and_args(problem, PEERS[PYRO4])
    parts.append(_global(name))
    _write_tuple(args, parts, depth)
    parts.append(pickle.REDUCE)
    attributes = travelling_attributes(problem)
    if attributes:
        _write(attributes, parts, depth)
        parts.append(pickle.BUILD)


def _proxy_state(reference: RemoteReference) -> tuple[object, ...]:
    members = [set(names) for names in (reference.oneway, reference.methods, reference.attributes)]
    # Timeout and retries are there for old peers; each side uses its own.
    return reference.uri, *members, 0.0, reference.hmac_key, reference.handshake, 0, reference.serializer


def _without_class(value: object) -> object:
    for convert in (of_plain_class, of_standard_class):
        plain = convert(value)
        if plain is not value:
            return plain
    raise SerializeError(
        f"don't know how to serialize class {type(value)} with pickle (send plain data, or use another serializer)"
    )


_SCALARS: Final[dict[type, Callable[[Any], bytes]]] = {
    NoneType: lambda _: pickle.NONE,
    bool: lambda value: pickle.NEWTRUE if value else pickle.NEWFALSE,
    int: _integer,
    float: _float,
    complex: _complex,
    str: _text,
    bytes: _bytes,
}

_CONTAINERS: Final[dict[type, Callable[[Any, list[bytes], int], None]]] = {
    list: _write_list,
    tuple: _write_tuple,
    dict: _write_dict,
    set: _write_set,
    frozenset: _write_set,
}
