"""Metadata tags that say what class an object is of."""

from __future__ import annotations


def type_meta(class_or_object: object, prefix: str = "class:") -> set[str]:
    """Tags ``class:module.name`` for a class, or the class of an object, and all classes it inherits from, builtins
    excepted. Registered as metadata, they let clients look for an object by what it can do.
    """
    cls = class_or_object if isinstance(class_or_object, type) else type(class_or_object)
    return {
        f"{prefix}{base.__module__}.{base.__name__}"
        for base in cls.__mro__
        if base.__module__ not in ("builtins", "__builtin__")
    }
