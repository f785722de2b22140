"""What is told of changes: to those who wait for them, and to functions of the program."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice, takewhile
from threading import Condition, RLock
from typing import Any, TypeAlias, TypeVar

from pyronym.directory.directory import Directory
from pyronym.directory.history import History
from pyronym.directory.record import Event
from pyronym.errors import LimitError
from pyronym.service.commit import Deliver, call_back
from pyronym.service.watches import MOST_EVENTS, News, Sees, Watch, Watches

T = TypeVar("T")

Subscriber: TypeAlias = Callable[[Sequence[Event]], object]

log = logging.getLogger(__name__)


class Feed:
    """The events of `directory`, from now on. The caller of its methods holds `lock`, except where they say otherwise.

    `most_events` are kept for those who ask for what they have missed; `most_watches` of one client may wait.
    `deliver` calls those who are told. `may_lag`: other nodes may have told their clients already of what comes here
    later.
    """

    def __init__(
        self,
        directory: Directory,
        most_events: int,
        most_watches: int,
        lock: RLock,
        settled: Condition,
        deliver: Deliver,
        *,
        may_lag: bool = False,
    ) -> None:
        self._directory = directory
        self._history = History(directory.revision, most_events)
        self._most_watches = most_watches
        self._watches = Watches(most_watches)
        self._subscribers: list[Subscriber] = []
        self._lock = lock
        self._settled = settled
        self._deliver = deliver
        self._ended = False
        self._may_lag = may_lag

    def watch(
        self,
        prefix: str,
        since: int | None,
        deadline: float | None,
        show: Callable[[News], T],
        sees: Sees | None,
        client: str | None,
    ) -> T | Watch[T]:
        """What `show` makes of the news since a revision; of the next ones, if there are none, until `deadline`.

        LimitError if there are too many of this client already. The caller needs no lock: others go on while all that
        was missed is looked through.
        """
        if since is None:
            return show(News(self._directory.revision))
        watch = Watch(prefix, since, sees, client, self._news, show, self._lock, self._settled)
        news = self._news(watch)
        if deadline is not None and self._is_nothing(news, since):
            watch.since = max(since, news.revision)
            with self._lock:
                news = self._news(watch)
                if not self._ended and self._is_nothing(news, since):
                    self._add(watch, deadline)
                    return watch
        return show(news)

    def count_since(self, revision: int) -> int:
        """The number of events that have to be looked through for a watch since this revision."""
        return self._history.count_since(revision)

    def _is_nothing(self, news: News, since: int) -> bool:
        is_ahead = self._may_lag and since > news.revision
        return not news.events and (not news.reset or is_ahead)

    def _add(self, watch: Watch[Any], deadline: float) -> None:
        if not self._watches.has_room_for(watch.client):
            raise LimitError(
                f"too many watches: {self._most_watches} of {watch.client} are waiting (MAX_WATCHES); watch less, or a "
                "prefix that several watchers have in common"
            )
        self._watches.add(watch, deadline)

    def tell(self, events: Sequence[Event]) -> None:
        """Take note of events, and tell of them."""
        self._history.extend(events)
        for subscriber in self._subscribers:
            self._deliver(partial(_tell, subscriber, events))
        self._finish(self._watches.concerned(events))

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._watches)

    def end_due(self, now: float, limit: int) -> None:
        """Answer those who have waited for long enough, no more than `limit`."""
        found = self._watches.due(now, limit)
        for watch in found:  # nothing has happened that concerns it, so nothing has to be looked through
            watch.since = max(watch.since, self._directory.revision)
        self._finish(found)

    def next_due(self) -> float | None:
        """A time before which nobody has waited for long enough."""
        return self._watches.next_due()

    def discard(self, watch: Watch[Any]) -> None:
        """One who waited is gone."""
        self._watches.discard(watch)

    def end(self) -> None:
        """Answer all who wait. From here on nobody does."""
        self._ended = True
        self.end_due(float("inf"), len(self._watches))

    def subscribe(self, subscriber: Subscriber) -> None:
        """Have a function told of all events from now on."""
        self._subscribers = [*self._subscribers, subscriber]

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Have a function told of nothing any more."""
        self._subscribers = [other for other in self._subscribers if other is not subscriber]

    def _finish(self, watches: Sequence[Watch[Any]]) -> None:
        """The results of these are there."""
        if watches:
            call_back([watch for watch in watches if watch.finish()], self._deliver)
            self._settled.notify_all()

    def _news(self, watch: Watch[Any]) -> News:
        """What there is for a watch. The caller needs no lock."""
        with self._lock:
            revision = self._directory.revision
            events = self._history.since(watch.since) if watch.since <= revision else None
        if events is None:
            return News(revision, reset=True)
        concerned = (event for event in events if watch.concerns(event.record.name))
        found = list(islice(concerned, MOST_EVENTS))
        if len(found) < MOST_EVENTS:
            return News(revision, found)
        last = found[-1].revision
        found += takewhile(lambda event: event.revision == last, concerned)  # several nodes share revisions
        return News(last, found)


def _tell(subscriber: Subscriber, events: Sequence[Event]) -> None:
    try:
        subscriber(events)
    except Exception:
        log.exception("a subscriber to changes failed")
