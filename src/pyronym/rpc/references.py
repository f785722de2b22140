"""Replacing things inside plain containers: proxies by references when they leave, and back when they arrive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def replace_values(value: Any, replace: Callable[[Any], Any]) -> Any:
    """`value` with `replace` applied to everything in it that is not a list, tuple, dict or set.

    Only exact builtin containers are entered. A container in which nothing is replaced comes back as it is.
    """
    kind = type(value)
    if kind is list or kind is tuple or kind is set:
        parts = [replace_values(part, replace) for part in value]
        if all(new is old for new, old in zip(parts, value, strict=True)):
            return value
        return kind(parts)
    if kind is dict:
        entries = {key: replace_values(part, replace) for key, part in value.items()}
        return value if all(entries[key] is part for key, part in value.items()) else entries
    return replace(value)
