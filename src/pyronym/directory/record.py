"""What a name stands for, and the wish to change that."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """What is registered under a name. Any str is a name, the empty one too; names differ by case."""

    name: str
    uri: str
    metadata: frozenset[str] = frozenset()
    """Free texts, called tags, that the record can be found by."""
    owner: str | None = None
    """Who registered it, if the name server keeps others from changing it."""


@dataclass(frozen=True, slots=True)
class Change:
    """Put `record` under `name`, in place of what is there, or delete what is there when `record` is None.

    Deleting a name that does not exist is a change too, without effect. Raises ValueError when the record has
    another name.
    """

    name: str
    record: Record | None

    def __post_init__(self) -> None:
        if self.record is not None and self.record.name != self.name:
            raise ValueError(f"change of {self.name!r} has the record of {self.record.name!r}")
