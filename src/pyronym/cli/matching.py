"""Matching names with a regular expression here, as name servers do it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from pyronym.service.regexes import Searches, name_pattern


class Matching:
    """The names that match `regex` from their beginning. BadPatternError if it is none."""

    def __init__(self, regex: str, budget: float) -> None:
        self._pattern = name_pattern(regex)
        self._searches = Searches(budget)

    def __call__(self, names: Sequence[str]) -> Sequence[str]:
        """Those of some names. SlowPatternError after `budget` seconds of computing."""
        longest = max(map(len, names), default=0)
        found = self._searches.find(self._pattern, lambda _: (names, longest), list)
        return found.result() if isinstance(found, Future) else found
