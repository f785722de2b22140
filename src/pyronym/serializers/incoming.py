"""Values on their way in: what every format does with the plain data that its reader gives."""

from __future__ import annotations

from typing import Any

from pyronym.errors import SerializeError
from pyronym.serializers.classes import recreate_classes

CallParts = tuple[str, str, "list[Any] | tuple[Any, ...]", dict[str, Any]]
"""Object id, method, arguments, keyword arguments. Of a batch the arguments are the list of calls, unchecked."""


def with_classes(value: object, payload: bytes) -> object:
    """`value`, which was read from `payload` and is within the bounds, with its classes recreated."""
    return recreate_classes(value) if b"__class__" in payload else value


def call_parts(value: object) -> CallParts:
    """The parts of a call. SerializeError, telling what is wrong, when `value` is no call.

    Readers make nothing but plain classes, so that these are compared: isinstance with a union takes six times as long.
    """
    if type(value) is not list and type(value) is not tuple:
        raise _invalid_call(f"a {type(value).__name__}")
    if len(value) != 4:
        raise _invalid_call(f"{len(value)} values")
    object_id, method, args, kwargs = value
    if type(object_id) is not str:
        raise _invalid_call(f"a {type(object_id).__name__} as object id")
    if type(method) is not str:
        raise _invalid_call(f"a {type(method).__name__} as method")
    if type(args) is not list and type(args) is not tuple:
        raise _invalid_call(f"a {type(args).__name__} as arguments")
    if kwargs is None:  # in batches
        kwargs = {}
    if type(kwargs) is not dict:
        raise _invalid_call(f"a {type(kwargs).__name__} as keyword arguments")
    for name in kwargs:
        if type(name) is not str:
            raise _invalid_call("a keyword argument whose name is no text")
    return object_id, method, args, kwargs


def _invalid_call(got: str) -> SerializeError:
    return SerializeError(
        f"invalid call: {got} (expected an object id, a method, a list of arguments and a dict of keyword arguments)"
    )
