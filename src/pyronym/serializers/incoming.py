"""Values on their way in: what every format does with the plain data that its reader gives."""

from __future__ import annotations

from typing import Any

from pyronym.errors import SerializeError
from pyronym.serializers.bounds import check_bounds
from pyronym.serializers.classes import recreate_classes

CallParts = tuple[str, str, "list[Any] | tuple[Any, ...]", dict[str, Any]]
"""Object id, method, arguments, keyword arguments. Of a batch the arguments are the list of calls, unchecked."""


def accepted(value: object, payload: bytes) -> object:
    """`value`, which was read from `payload`, with its bounds checked and its classes recreated."""
    check_bounds(value)
    return with_classes(value, payload)


def with_classes(value: object, payload: bytes) -> object:
    """`value`, which was read from `payload` and is within the bounds, with its classes recreated."""
    return recreate_classes(value) if b"__class__" in payload else value


def call_parts(value: object) -> CallParts:
    """The parts of a call. SerializeError, telling what is wrong, when `value` is no call."""
    if not isinstance(value, list | tuple):
        raise _invalid_call(f"a {type(value).__name__}")
    if len(value) != 4:
        raise _invalid_call(f"{len(value)} values")
    object_id, method, args, kwargs = value
    if not isinstance(object_id, str):
        raise _invalid_call(f"a {type(object_id).__name__} as object id")
    if not isinstance(method, str):
        raise _invalid_call(f"a {type(method).__name__} as method")
    if not isinstance(args, list | tuple):
        raise _invalid_call(f"a {type(args).__name__} as arguments")
    if kwargs is None:  # in batches
        kwargs = {}
    if not isinstance(kwargs, dict):
        raise _invalid_call(f"a {type(kwargs).__name__} as keyword arguments")
    if not all(isinstance(name, str) for name in kwargs):
        raise _invalid_call("a keyword argument whose name is no text")
    return object_id, method, args, kwargs


def _invalid_call(got: str) -> SerializeError:
    return SerializeError(
        f"invalid call: {got} (expected an object id, a method, a list of arguments and a dict of keyword arguments)"
    )
