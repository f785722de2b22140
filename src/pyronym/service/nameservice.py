"""The name server itself: a directory with a storage behind it, safe to use from several threads.

Reads come from memory. What a change must satisfy is said here; a `Changes` decides on it, with all that is committed
and all that is on its way, and hands it to the storage. When that has it, the directory knows it, and only then its
caller hears of it. If the storage fails, nothing has changed, and the caller gets the StorageError.

What comes true is told to the feed, and followed by the leases. An alarm comes when one of these ends, or when a
watcher has waited for long enough.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeVar

from pyronym.directory.directory import Directory
from pyronym.directory.record import Change, Event, Lease, Record
from pyronym.errors import NameTakenError, UnknownNameError
from pyronym.service.alarm import Alarm
from pyronym.service.alone import Alone
from pyronym.service.arguments import check_unchanged
from pyronym.service.changes import Changes
from pyronym.service.commit import Deliver
from pyronym.service.expiry import Expiry
from pyronym.service.feed import Feed, Subscriber
from pyronym.service.leasing import Holder, Leasing, Renewal, Renewing
from pyronym.service.liveness import State, unprobed
from pyronym.service.nodes import Node, Status
from pyronym.service.permissions import REMOVE, RENEW, Grant
from pyronym.service.pipeline import Note, Outcome, Pipeline, waited_for
from pyronym.service.quota import Quota
from pyronym.service.regexes import Searches, name_pattern
from pyronym.service.shared_pipeline import SharedPipeline
from pyronym.service.sharing import Sharing
from pyronym.service.told import Told
from pyronym.service.watches import News, Sees, Watch
from pyronym.settings import Settings, config
from pyronym.storage.base import Storage
from pyronym.storage.health import Health, Trouble
from pyronym.storage.shared import SharedStorage
from pyronym.uri import NAMESERVER_NAME, URI

T = TypeVar("T")

AT_ONCE: Final = 250
"""Leases that are ended at one go, and watches. It takes some milliseconds, in which others wait."""


class NameService:
    """The records of one name server. Its methods may be called from any thread.

    `storage` belongs to the service from here on and is closed with it. Raises StorageError if it cannot be loaded.
    `clock`: seconds, going forward only; with `alarmed` off, `advance` has to be called when it is time.
    """

    def __init__(
        self,
        storage: Storage,
        settings: Settings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        alarmed: bool = True,
    ) -> None:
        settings = settings or config.settings
        self.deliver: Deliver = _call
        """Calls a function in the thread that the callbacks of commits are for; at first in whatever thread it is. Once
        for all commits that became durable together: so 64 callers in an event loop all get into the next commit. When
        the loop was woken for each of them 40 did, and half as many registrations a second were made.
        """
        self.state_of: Callable[[Record], State] = unprobed
        """How the object of a record is, as far as that is known."""
        self._lock = threading.RLock()
        self._settled = threading.Condition(self._lock)
        # Microseconds since 1970: so the revisions of an earlier run are below those that there is a history of.
        self._directory = Directory(time.time_ns() // 1000)
        self._clock = clock
        self._alarm = Alarm(self.advance, clock) if alarmed else None
        with _no_garbage_collection():
            self._directory.load(storage.load())
        shared = storage if isinstance(storage, SharedStorage) else None
        if shared is not None:
            self._directory.revision = shared.revision
        self._feed = Feed(
            self._directory,
            settings.max_history,
            settings.max_watches,
            self._lock,
            self._settled,
            self._deliver,
            may_lag=shared is not None,
        )
        self._leasing = Leasing(settings.ephemeral_grace, clock, None if shared is None else shared.node)
        self._leasing.load(self._directory.everything())
        self.node: Final = Node(shared)
        """This one, as others know it."""
        self._owned = shared is not None  # other nodes have such a record already
        self._quota = Quota(settings.max_names_per_client) if settings.max_names_per_client else None
        self._searches = Searches(settings.regex_timeout)
        self._changes = self._changes_of(storage)
        self.expiry: Final = Expiry(self._directory, self._leasing, self._changes)
        """Removes what nobody has renewed."""
        self._set_alarm()
        if shared is not None:
            shared.follow(Told(self._directory, self._lock, self._follow_storage))

    def _changes_of(self, storage: Storage) -> Changes:
        directory, lock, settled = self._directory, self._lock, self._settled
        if isinstance(storage, SharedStorage):
            shared_pipeline = SharedPipeline(directory, storage, lock, settled, self._follow, self._deliver)
            return Sharing(directory, self._leasing, shared_pipeline, storage)
        pipeline = Pipeline(directory, storage, lock, settled, self._follow, self._deliver)
        return Alone(directory, self._leasing, pipeline)

    def gather_by(self, at_end_of_turn: Deliver) -> None:
        """Have changes of one turn of an event loop committed together: see `Committer.gather`."""
        self._changes.gather_by(at_end_of_turn)

    def hurry(self) -> None:
        """To be called by who is about to wait for a change: the thread may be the one whose turn would have to end."""
        self._changes.hurry()

    def close(self) -> None:
        """Finish the changes that are on their way and close the storage."""
        if self._alarm is not None:
            self._alarm.close()
        self.end_watches()
        self._searches.close()
        self._changes.close()

    @property
    def trouble(self) -> Trouble | None:
        """Why the storage takes no changes and since when; None when it does."""
        return self.health.trouble

    @property
    def status(self) -> Status:
        """How this node is, for those who watch over it. From any thread."""
        return Status(
            self.count(),
            self._directory.revision,
            self.trouble,
            *self.node.freshness,
            self.health.times,
            self.health.description,
            len(self._leasing),
            self._feed.waiting,
        )

    @property
    def health(self) -> Health:
        """How the storage is, from how commits end."""
        return self._changes.health

    def report(self) -> dict[str, object]:
        """The same and more, for clients: docs/operating.md says what is in it."""
        return self.node.report(self.status)

    def nodes(self) -> list[dict[str, object]]:
        """What is known about all nodes of this name server: this one first, the others by their addresses."""
        return self.node.all(self.status)

    def __contains__(self, name: str) -> bool:
        with self._lock:
            return self._directory.upcoming(name) is not None

    def count(self) -> int:
        """The number of records."""
        return len(self._directory)

    def get(self, name: str) -> Record | None:
        """The record of this name."""
        # One look into a dict, which other threads cannot disturb: no lock.
        return self._directory.get(name)

    def everything(self) -> list[Record]:
        """All records, in the order of their registration."""
        with self._lock:
            return self._directory.everything()

    def with_prefix(self, prefix: str) -> list[Record]:
        """The records whose names start with exactly `prefix`."""
        with self._lock:
            return self._directory.with_prefix(prefix)

    def page(self, prefix: str, beyond: str | None, limit: int, *, backwards: bool = False) -> list[Record]:
        """The first `limit` records, sorted by name, whose names start with exactly `prefix` and come after `beyond`;
        with `backwards` sorted the other way, and before it. Costs no more where there are many names.
        """
        with self._lock:
            return self._directory.page(prefix, beyond, limit, backwards=backwards)

    def count_with_prefix(self, prefix: str) -> int:
        """How many names start with exactly `prefix`. Costs no more where there are many."""
        with self._lock:
            return self._directory.count_with_prefix(prefix)

    def matching(self, regex: str, use: Callable[[Iterable[Record]], T]) -> T | Future[T]:
        """What `use` makes of the records whose names match from their beginning, or the future of that: in order of
        registration, or sorted by name, where `regex` begins with text that few names do.

        Raises BadPatternError, SlowPatternError. Never called on an event loop, and nobody waits for the search.
        """
        return self._searches.find(name_pattern(regex), self._candidates, use)

    def with_all(self, tags: frozenset[str]) -> list[Record]:
        """The records that have all these tags."""
        with self._lock:
            return self._directory.with_all(tags)

    def with_any(self, tags: frozenset[str]) -> list[Record]:
        """The records that have at least one of these tags."""
        with self._lock:
            return self._directory.with_any(tags)

    def adopt(self, uri: str, tags: frozenset[str]) -> Outcome[None]:
        """Register the name server that this service is the heart of. From then on its name cannot be registered.

        Where there are other nodes, each has such a record of its own, of which the others do not know.
        """
        with self._lock:
            outcome = self._changes.adopt(Record(NAMESERVER_NAME, uri, tags))
            self._owned = True
        self.node.appear(URI(uri))
        return outcome

    # Changes on behalf of a client are made if its `grant` allows them, otherwise they raise SecurityError.

    def register(
        self,
        name: str,
        uri: str,
        tags: frozenset[str],
        *,
        safe: bool = False,
        expected: Record | None = None,
        lease: Lease | None = None,
        answer: Any = None,
        grant: Grant | None = None,
        note: Note | None = None,
    ) -> Outcome[Any]:
        """Put a record in place of what is there under its name; with `safe`, NameTakenError if anything is. `answer`
        is what the outcome is, if it is a success. With `expected`, as in all that follows, it is done only where that
        is what is there: this very object, as `get` gave it. Otherwise RecordChangedError.
        """
        with self._lock:
            if name == NAMESERVER_NAME and self._owned:
                raise NameTakenError(name)
            owner = None if grant is None else grant.owner
            record = Record(name, uri, tags and self._directory.shared_tags(tags), owner, lease)
            if not safe and grant is None and expected is None:
                return self._changes.put(record, answer, note)
            decide = partial(self._registered, record, safe, expected, grant)
            return self._changes.put_decided(name, decide, answer, note)

    def _registered(
        self, record: Record, safe: bool, expected: Record | None, grant: Grant | None, existing: Record | None
    ) -> Record:
        """The record, if it may take the place of an existing one."""
        name = record.name
        if grant is not None:
            grant.check_register(name, existing)
        if safe and existing is not None:
            raise NameTakenError(name)
        check_unchanged(name, existing, expected)
        if grant is not None and self._quota is not None:
            self._quota.take(grant.principal, name)
        return record

    def register_all(self, records: Sequence[Record]) -> Outcome[bool]:
        """Put records of different names in place of what is there under their names: all of them, or none if it fails.
        False, and nothing is done, where they have to be registered one by one.
        """
        with self._lock:
            names = [record.name for record in records]
            if NAMESERVER_NAME in names:
                return False
            shared = [self._with_shared_tags(record) if record.metadata else record for record in records]
            return self._changes.put_all(list(map(Change, names, shared)))

    def _with_shared_tags(self, record: Record) -> Record:
        return record._replace(metadata=self._directory.shared_tags(record.metadata))

    def set_metadata(
        self,
        name: str,
        tags: frozenset[str],
        *,
        expected: Record | None = None,
        grant: Grant | None = None,
        note: Note | None = None,
    ) -> Outcome[None]:
        """Replace the tags of a record. UnknownNameError if there is none."""

        def decide(record: Record | None) -> Record:
            if grant is not None:
                grant.check_change(RENEW, name, record)
            if record is None:
                raise UnknownNameError(name)
            check_unchanged(name, record, expected)
            return record._replace(metadata=self._directory.shared_tags(tags))

        with self._lock:
            return self._changes.put_decided(name, decide, None, note)

    def remove(
        self,
        names: Iterable[str],
        *,
        expected: Record | None = None,
        grant: Grant | None = None,
        note: Note | None = None,
    ) -> Outcome[int]:
        """Remove the records of these names, as far as there are any. Their number. `expected`: of a single name."""

        def check(name: str, record: Record | None) -> None:
            if grant is not None:
                grant.check_change(REMOVE, name, record)
            check_unchanged(name, record, expected)

        with self._lock:
            others = [name for name in dict.fromkeys(names) if name != NAMESERVER_NAME]
            return self._changes.remove(others, check, note)

    def remove_unchanged(self, records: Iterable[Record], note: Note | None = None) -> Outcome[int]:
        """Remove those of these records that are still there, and that nothing is about to replace. Their number."""
        with self._lock:
            return self._changes.remove_unchanged(records, note)

    def remove_prefix(self, prefix: str) -> Outcome[int]:
        """Remove the records whose names start with exactly `prefix`. Their number."""
        with self._lock:
            return self.remove([record.name for record in self.with_prefix(prefix)])

    def remove_matching(self, regex: str) -> int | Future[int]:
        """Remove the records whose names match from their beginning, and wait for it. Their number. As `matching`."""

        def remove(records: Iterable[Record]) -> int:
            return waited_for(self.remove([record.name for record in records]))

        return self._searches.find(name_pattern(regex), self._candidates, remove)

    # Leases

    def new_lease(self, seconds: float | None, holder: Holder | None = None) -> Lease:
        """A lease to register a name with. With a `holder` the record goes, too, some time after that has gone."""
        with self._lock:
            return self._leasing.new(seconds, holder)

    def renew(
        self,
        names: Mapping[str, str | None],
        seconds: float | None,
        holder: Holder,
        show: Callable[[Renewal], T],
        *,
        grant: Grant | None = None,
        note: Note | None = None,
    ) -> Outcome[T]:
        """Have the leases of these names count anew, of a certain registration where the id of its lease is given.
        `seconds`: how long they are to be from now on, if it is to change. What `show` makes of those that were not
        renewed. `holder` holds those that are ephemeral from here on.
        """

        def check(name: str, record: Record | None) -> None:
            if grant is not None:
                grant.check_change(RENEW, name, record)

        with self._lock:
            outcome = self._changes.renew(Renewing(names, seconds, holder), show, check, note)
            self._set_alarm()
            return outcome

    def disconnect(self, holder: Holder) -> None:
        """A holder is gone: its records are to go soon, unless somebody else renews them."""
        with self._lock:
            self._leasing.disconnect(holder)
            self._set_alarm()

    def remaining(self, name: str) -> float | None:
        """Seconds until the lease of a record ends, as far as is known now; None if that is not known."""
        with self._lock:
            return self._leasing.remaining(name)

    # Watching

    def watch(
        self,
        prefix: str,
        since: int | None,
        timeout: float,
        show: Callable[[News], T],
        *,
        sees: Sees | None = None,
        client: str | None = None,
    ) -> T | Watch[T]:
        """What `show` makes of what happened to names with a prefix after the revision `since`. If that is nothing, of
        what happens next, or of nothing, after `timeout` seconds. Without `since`: of nothing, at once.

        `sees`: whether names may be told of; it must not wait for anything. `client`: for whom. LimitError if too many
        of its watches are waiting.
        """
        deadline = self._clock() + timeout if timeout > 0 else None
        outcome = self._feed.watch(prefix, since, deadline, show, sees, client)
        if deadline is not None and self._alarm is not None and isinstance(outcome, Watch):
            self._alarm.by(deadline)
        return outcome

    def missed_since(self, revision: int) -> int:
        """The number of events that `watch` has to look through."""
        with self._lock:
            return self._feed.count_since(revision)

    def discard(self, watch: Watch[Any]) -> None:
        """Whoever waited is gone."""
        with self._lock:
            self._feed.discard(watch)

    def end_watches(self) -> None:
        """Answer all who wait, and let nobody wait from here on."""
        with self._lock:
            self._feed.end()

    def subscribe(self, subscriber: Subscriber) -> None:
        """Have a function told of all events that come, in their order, in the thread that `deliver` calls it in."""
        with self._lock:
            self._feed.subscribe(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Have it told of nothing any more."""
        with self._lock:
            self._feed.unsubscribe(subscriber)

    def advance(self, late: float = 0.0) -> float | None:
        """Do what is due. When there will be something to do again; None: that is not known yet.

        `late`: by how many seconds this was called late.
        """
        with self._lock:
            self._leasing.forgive(late)
            self.expiry.remove_ended(AT_ONCE)
            self._feed.end_due(self._clock(), AT_ONCE)
            return self._next_due()

    def _next_due(self) -> float | None:
        dues = (self._leasing.next_due(), self._feed.next_due())
        return min((due for due in dues if due is not None), default=None)

    def _set_alarm(self) -> None:
        due = self._next_due()
        if due is not None and self._alarm is not None:
            self._alarm.by(due)

    def _deliver(self, function: Callable[[], None]) -> None:
        self.deliver(function)

    def _follow_storage(self, events: Sequence[Event]) -> None:
        """Some node has changed the storage, perhaps this one."""
        self._follow((record.name for _, _, record in events), events)

    def _follow(self, names: Iterable[str], events: Sequence[Event]) -> None:
        """Changes of these names have come true, as the events say, or have failed."""
        if self._quota is not None:
            for name in names:
                if self._directory.upcoming(name) is None:  # it counts for nobody then
                    self._quota.release(name)
        if self._leasing.follow(events):
            self._set_alarm()
        self._feed.tell(events)

    # Searching

    def _candidates(self, prefix: str) -> tuple[list[Record], int]:
        with self._lock:
            return self._directory.candidates(prefix), self._directory.longest


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Look for no garbage while very many objects are made that are none: a million records load in 3.5 s, not 4.7."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _call(function: Callable[[], None]) -> None:
    function()
