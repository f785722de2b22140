"""What a name stands for, and the wish to change that.

Named tuples: they cannot be changed either, and take 0.3 and 0.5 microseconds to make, frozen dataclasses 0.9 and 1.2.
"""

from __future__ import annotations

from typing import NamedTuple


class Record(NamedTuple):
    """What is registered under a name. Any str is a name, the empty one too; names differ by case."""

    name: str
    uri: str
    metadata: frozenset[str] = frozenset()
    """Free texts, called tags, that the record can be found by."""
    owner: str | None = None
    """Who registered it, if the name server keeps others from changing it."""


class _NameAndRecord(NamedTuple):
    name: str
    record: Record | None


class Change(_NameAndRecord):
    """Put `record` under `name`, in place of what is there, or delete what is there when `record` is None.

    Deleting a name that does not exist is a change too, without effect. Raises ValueError when the record has
    another name.
    """

    __slots__ = ()

    def __new__(cls, name: str, record: Record | None) -> Change:  # noqa: D102  # the class says it
        if record is not None and record.name != name:
            raise ValueError(f"change of {name!r} has the record of {record.name!r}")
        return tuple.__new__(cls, (name, record))
