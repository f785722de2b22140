"""Those who wait for changes of names with a prefix, until a deadline. They cost no thread, and nothing meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from threading import Condition, RLock
from typing import Final, NamedTuple, TypeVar

from pyronym.directory.record import Event
from pyronym.directory.schedule import Schedule
from pyronym.service.commit import Deferral

T = TypeVar("T")

MOST_EVENTS: Final = 1000
"""Events in one answer, and those that came true together with the last. A watcher with more to hear of asks again."""


class News(NamedTuple):
    """What is new to a watcher."""

    revision: int
    """To ask from the next time."""
    events: Sequence[Event] = ()
    reset: bool = False
    """Too much has happened, or in another name server: the watcher must list what there is, and go on from there."""


Sees = Callable[[str], bool]
"""Whether a watcher may know of a name."""


class Watch(Deferral[T]):
    """One who waits. The result is what `show` makes of the news; it is reckoned when it is asked for."""

    __slots__ = ("_news", "_show", "_shown", "client", "prefix", "sees", "since")

    def __init__(
        self,
        prefix: str,
        since: int,
        sees: Sees | None,
        client: str | None,
        news: Callable[[Watch[T]], News],
        show: Callable[[News], T],
        lock: RLock,
        settled: Condition,
    ) -> None:
        super().__init__(lock, settled)
        self.prefix = prefix
        self.since = since
        self.sees = sees
        self.client = client
        self._news = news
        self._show = show
        self._shown: T | None = None

    def concerns(self, name: str) -> bool:
        """Whether changes of this name are what is waited for."""
        return name.startswith(self.prefix) and (self.sees is None or self.sees(name))

    def _outcome(self) -> T:
        # The news go on with time, the result does not.
        if self._shown is None:
            self._shown = self._show(self._news(self))
        return self._shown


class Watches:
    """All who wait, by their prefixes. `most`: of one client."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_prefix: dict[str, dict[Watch[object], None]] = {}
        self._lengths: Counter[int] = Counter()
        self._by_client: Counter[str] = Counter()
        self._ends: Schedule[Watch[object]] = Schedule()

    def __len__(self) -> int:
        return len(self._ends)

    def has_room_for(self, client: str | None) -> bool:
        """Whether there may be another one of this client."""
        return client is None or self._by_client[client] < self._most

    def add(self, watch: Watch[object], deadline: float) -> None:
        """Let one wait until something happens, until `deadline`, or until it is discarded."""
        group = self._by_prefix.setdefault(watch.prefix, {})
        if not group:
            self._lengths[len(watch.prefix)] += 1
        group[watch] = None
        self._ends.set(watch, deadline)
        if watch.client is not None:
            self._by_client[watch.client] += 1

    def discard(self, watch: Watch[object]) -> None:
        """Let one not wait any more, if it does."""
        if watch in self._ends:
            self._ends.drop(watch)
            self._take_out(watch)

    def concerned(self, events: Iterable[Event]) -> list[Watch[object]]:
        """Those whom these events concern. They do not wait any more, and have heard of all that was before."""
        found: list[Watch[object]] = []
        if not self._by_prefix:
            return found
        for event in events:
            name = event.record.name
            for length in [length for length in self._lengths if length <= len(name)]:
                for watch in list(self._by_prefix.get(name[:length], ())):
                    if watch.concerns(name) and watch.since < event.revision:
                        self.discard(watch)
                        watch.since = event.revision - 1
                        found.append(watch)
        return found

    def due(self, now: float, limit: int) -> list[Watch[object]]:
        """Those whose deadline has come, no more than `limit`. They do not wait any more."""
        found = self._ends.due(now, limit)
        for watch in found:
            self._take_out(watch)
        return found

    def next_due(self) -> float | None:
        """A time before which no deadline comes; None when nobody waits."""
        return self._ends.next()

    def _take_out(self, watch: Watch[object]) -> None:
        group = self._by_prefix[watch.prefix]
        del group[watch]
        if not group:
            del self._by_prefix[watch.prefix]
            length = len(watch.prefix)
            self._lengths[length] -= 1
            if not self._lengths[length]:
                del self._lengths[length]
        if watch.client is not None:
            self._by_client[watch.client] -= 1
            if not self._by_client[watch.client]:
                del self._by_client[watch.client]
