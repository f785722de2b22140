"""What has to be done so that a place has certain names, and whether it has them then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pyronym.directory.record import Record
from pyronym.storage.record_file import checksum


class Plan(NamedTuple):
    """Records that are to be somewhere, by what is there under their names."""

    missing: list[Record]
    """Nothing is."""
    same: list[Record]
    """What they are themselves: the same URI and tags."""
    conflicts: list[Record]
    """Something else."""


def planned(wanted: Iterable[Record], there: Iterable[Record]) -> Plan:
    """How `wanted` records stand to those that are there."""
    known = {record.name: record for record in there}
    plan = Plan([], [], [])
    for record in wanted:
        other = known.get(record.name)
        if other is None:
            plan.missing.append(record)
        elif (other.uri, other.metadata) == (record.uri, record.metadata):
            plan.same.append(record)
        else:
            plan.conflicts.append(record)
    return plan


class Verdict(NamedTuple):
    """Whether a place has the names that it should have."""

    names: int
    """How many of them are there."""
    checksum: str
    wrong: list[str]
    """The names that it has not, or that are not as they should be."""


def verdict(wanted: Sequence[Record], there: Iterable[Record]) -> Verdict:
    """Compare what a place should have with what is there; other names do not matter."""
    names = {record.name for record in wanted}
    found = [record for record in there if record.name in names]
    wrong = [] if checksum(found) == checksum(wanted) else [r.name for r in _not_same(wanted, found)]
    return Verdict(len(found), checksum(found), wrong)


def _not_same(wanted: Sequence[Record], there: Iterable[Record]) -> list[Record]:
    plan = planned(wanted, there)
    return [*plan.missing, *plan.conflicts]
