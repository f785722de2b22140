"""Searching names with regular expressions that strangers sent: what can stall others is stopped, or never begun.

`re` cannot be stopped, and nothing else of this process runs during one of its matches. So it is used only where its
cost is known to be small: `NamePattern.reach` says for names of which length. The `regex` library matches longer names:
it gives up when its time is over, and lets other threads run meanwhile. It takes about ten times as long for a name.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from re import _parser  # type: ignore[attr-defined]
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from pyronym.directory.pattern_cost import PatternCost, range_width, size
from pyronym.directory.pattern_text import regex_text
from pyronym.directory.patterns import Literals, literals
from pyronym.directory.record import Record
from pyronym.errors import BadPatternError, SlowPatternError

T = TypeVar("T")

Candidates: TypeAlias = Callable[[str], tuple[Sequence[Record], int]]
"""Gives records, among them all whose names have a prefix, and a length that no name exceeds."""

MAX_PATTERN: Final = 1000
"""Characters. One that people write has less than a hundred, and what it costs to compile grows with it."""
MAX_RANGES: Final = 1_000_000
"""Characters in all ranges of a pattern's sets: a tenth of a second for `re.compile`, which looks at each of them."""
MAX_EXPANDED: Final = 10_000
"""Operators, with what is repeated as often as it has to be there: the `regex` library compiles them one by one.
``((a{1000}){1000}){1000}`` would take all memory.
"""
PLAIN_STEPS: Final = 200_000
"""A millisecond of `re`, during which nothing else runs."""
LENGTHS: Final = (0, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 4096, 65536)
"""Of names, for which a pattern is looked into."""
AT_ONCE: Final = 2
"""Matches that may take long and run at the same time, each on a processor of its own."""
PATIENCE: Final = 3
"""A search waits for its turn this many times as long as it may take."""
CHUNK: Final = 256
"""Names between two looks at the clock."""


class Compiled(Protocol):
    """A regular expression of the `regex` library."""

    def match(self, string: str, *, timeout: float, concurrent: bool) -> object:
        """What it matches. TimeoutError after `timeout` seconds of the process's computing time."""
        ...


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A regular expression that is none of those that cannot even be compiled. Make it with `name_pattern`."""

    plain: re.Pattern[str]
    literals: Literals
    """What all names have that it matches."""
    reach: int
    """The length of names up to which `re` matches it in no time."""

    @property
    def label(self) -> str:
        """The pattern as messages name it."""
        text = self.plain.pattern
        return repr(text if len(text) <= 60 else text[:57] + "...")


@lru_cache(maxsize=256)
def name_pattern(text: str) -> NamePattern:
    """Compile a regular expression. BadPatternError if it is none, or is too large."""
    if len(text) > MAX_PATTERN:
        raise BadPatternError(f"it has {len(text)} characters (expected at most {MAX_PATTERN})")
    try:
        tree = _parser.parse(text)
        if (width := range_width(tree)) > MAX_RANGES:
            raise BadPatternError(
                f"its ranges of characters are too large: {width} characters together (expected at most {MAX_RANGES})"
            )
        plain = re.compile(text)
        cost = PatternCost(tree)
        reach = LENGTHS[bisect_left(LENGTHS, True, lo=1, key=lambda length: cost.steps(length) > PLAIN_STEPS) - 1]
        return NamePattern(plain, literals(tree), reach)
    except RecursionError:
        raise BadPatternError("its groups are nested too deeply") from None
    except (re.error, OverflowError, ValueError) as problem:
        raise BadPatternError(str(problem)) from None


class Searches:
    """All searches with regular expressions of one name server.

    `budget`: seconds of computing time that one may take. `find` may be called from any thread but an event loop's.
    """

    def __init__(self, budget: float) -> None:
        self._budget = budget
        # Not the workers of the daemon: those who wait here for their turn must not keep others from being served.
        self._lane = ThreadPoolExecutor(AT_ONCE, "pyronym regex")

    def close(self) -> None:
        """Begin no more of what may take long."""
        self._lane.shutdown(wait=False, cancel_futures=True)

    def find(
        self,
        pattern: NamePattern,
        candidates: Candidates,
        use: Callable[[list[Record]], T],
    ) -> T | Future[T]:
        """What `use` makes of the records whose names match from their beginning, or the future of that. Raises
        SlowPatternError, perhaps in the future, when the budget is spent; BadPatternError when such a pattern cannot be
        stopped in time.
        """
        records, longest = candidates(pattern.literals.prefix)
        if longest <= pattern.reach:
            return use(self._scan(pattern, records, pattern.plain.match))
        del records  # they would be kept while this waits for its turn
        waiting_since = time.monotonic()
        return self._lane.submit(lambda: use(self._careful_scan(pattern, candidates, waiting_since)))

    def _scan(self, pattern: NamePattern, records: Sequence[Record], match: Callable[[str], object]) -> list[Record]:
        # Computing time: that others compute too is no fault of this pattern.
        ends = time.thread_time() + self._budget
        # Most names are left out because they do not have this: a million take 0.12 s instead of 0.25.
        inside = pattern.literals.inside
        found: list[Record] = []
        for start in range(0, len(records), CHUNK):
            if time.thread_time() > ends:
                raise self._too_slow(pattern)
            part = records[start : start + CHUNK]
            found += [record for record in part if inside in record.name and match(record.name)]
        return found

    def _careful_scan(self, pattern: NamePattern, candidates: Candidates, waiting_since: float) -> list[Record]:
        if time.monotonic() - waiting_since > PATIENCE * self._budget:
            raise SlowPatternError(
                f"{pattern.label} got no turn within {PATIENCE * self._budget:g} s, because others' patterns take long "
                "(try again later, or use a pattern that does not repeat what repeats)"
            )
        stoppable = _stoppable(pattern)
        ends = time.thread_time() + self._budget
        plain_match, reach = pattern.plain.match, pattern.reach

        def match(name: str) -> object:
            if len(name) <= reach:
                return plain_match(name)
            try:
                return stoppable.match(name, timeout=max(0.001, ends - time.thread_time()), concurrent=True)
            except TimeoutError:
                raise self._too_slow(pattern) from None
            except MemoryError:
                raise SlowPatternError(f"{pattern.label} needs too much memory (use a simpler pattern)") from None

        return self._scan(pattern, candidates(pattern.literals.prefix)[0], match)

    def _too_slow(self, pattern: NamePattern) -> SlowPatternError:
        return SlowPatternError(
            f"{pattern.label} was stopped after {self._budget:g} s (use a prefix, or a pattern that does not repeat "
            "what repeats; the name server's REGEX_TIMEOUT sets the limit)"
        )


def _stoppable(pattern: NamePattern) -> Compiled:
    """The same for the `regex` library."""
    import regex  # takes 20 milliseconds, and most processes need it never

    tree = _parser.parse(pattern.plain.pattern)
    if (expanded := size(tree, expanded=True)) > MAX_EXPANDED:
        raise BadPatternError(f"it repeats too much: {expanded:g} parts (expected at most {MAX_EXPANDED})")
    try:
        compiled: Any = regex.compile(regex_text(tree), regex.VERSION0, cache_pattern=False)
    except (regex.error, RecursionError, ValueError) as problem:
        raise BadPatternError(f"it cannot be stopped in time: {problem}") from None
    return compiled  # type: ignore[no-any-return]
