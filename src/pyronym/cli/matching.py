"""Matching names with a regular expression here, as name servers do it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future

from pyronym.directory.record import Record
from pyronym.service.regexes import Searches, name_pattern


class Matching:
    """The names that match `regex` from their beginning. BadPatternError if it is none."""

    def __init__(self, regex: str, budget: float) -> None:
        self._pattern = name_pattern(regex)
        self._searches = Searches(budget)

    def __call__(self, names: Sequence[str]) -> Sequence[str]:
        """Those of some names. SlowPatternError after `budget` seconds of computing."""
        records = [Record(name, "", frozenset()) for name in names]
        longest = max(map(len, names), default=0)
        found = self._searches.find(self._pattern, lambda _: (records, longest), _names_of)
        return found.result() if isinstance(found, Future) else found


def _names_of(records: Iterable[Record]) -> list[str]:
    return [record.name for record in records]
