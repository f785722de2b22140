"""All records in memory, with the indexes that answer each kind of question at a cost that follows the answer.

A million names of 23 characters, with URIs of 63 and one tag that all have, take 330 bytes each, everything
included (measured with tracemalloc on CPython 3.11); 420 with the items of a `MemoryStorage`, which share the texts
and the sets of tags.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from sortedcontainers import SortedList

from pyronym.directory.record import EXPIRED, REGISTERED, REMOVED, UPDATED, Change, Event, Record
from pyronym.directory.tagsets import TagSets

MANY: Final = 8
"""More than one name in so many. A million names are in memory in order of registration: to look at all of them for a
text takes 0.1 s, and 0.23 in another order.
"""


class Staged:
    """Changes on their way to the storage. Made by `Directory.stage`; equal only to itself."""

    __slots__ = ("changes", "expired")

    def __init__(self, changes: tuple[Change, ...], expired: bool) -> None:
        self.changes = changes
        self.expired = expired


class Directory:
    """The records by name. Not thread-safe; no I/O and no clock.

    Changes come in two steps. `stage` announces them, `apply` makes them true once they are durable, and
    `abandon` forgets them if they cannot be. Questions are answered from what is applied; `upcoming` also
    looks at what is staged, for checks such as that of a safe registration.

    `revision`: to begin with. What becomes true is told as events; that names are deleted because their leases have
    ended (`expired`) is all that nobody else can tell of them.
    """

    def __init__(self, revision: int = 0) -> None:
        self.revision = revision
        """Grows by one with every applied change, or as it does elsewhere, where changes are followed."""
        self.longest = 0
        """Characters of the longest name that there ever was. It tells what a regular expression can cost."""
        self._records: dict[str, Record] = {}
        self._names: SortedList[str] = SortedList()
        self._by_tag: dict[str, dict[str, Record]] = {}
        self._tag_sets = TagSets()
        self._outstanding: deque[Staged] = deque()
        self._upcoming: dict[str, tuple[Staged, Record | None]] = {}
        """For each name with staged changes the last of these: where it is staged, and what it makes of the name."""
        self.staged_names: Final = self._upcoming.keys()
        """The names with staged changes, at any time."""

    def load(self, records: Iterable[Record]) -> None:
        """Fill a directory in which nothing is registered or staged; of records with one name the last counts.

        Much faster than applying changes. The revision stays, and there are no events. Raises ValueError when there is
        something already.
        """
        if self._records or self._outstanding:
            raise ValueError("only an empty directory can be loaded; use stage and apply")
        for record in records:
            self._put(record)
        self._names.update(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, name: str) -> bool:
        return name in self._records

    def __iter__(self) -> Iterator[str]:
        """The names in order of registration; a name that is registered again keeps its place."""
        return iter(self._records)

    def get(self, name: str) -> Record | None:
        """The record of this name, if there is one."""
        return self._records.get(name)

    def everything(self) -> list[Record]:
        """All records in order of registration."""
        return list(self._records.values())

    def with_prefix(self, prefix: str) -> list[Record]:
        """The records whose name starts with exactly this text, sorted by name."""
        return [self._records[name] for name in self._names_with_prefix(prefix)]

    def page(self, prefix: str, beyond: str | None, limit: int, *, backwards: bool = False) -> list[Record]:
        """The first `limit` records, sorted by name, whose names start with exactly this text and come after `beyond`;
        with `backwards` sorted the other way, and before it.
        """
        low, high = prefix, _end_of(prefix)
        exclude_low = False
        if beyond is not None and backwards:
            high = beyond if high is None else min(high, beyond)
        elif beyond is not None and beyond >= low:
            low, exclude_low = beyond, True
        names = self._names.irange(low, high, inclusive=(not exclude_low, False), reverse=backwards)
        return [self._records[name] for name in islice(names, limit)]

    def count_with_prefix(self, prefix: str) -> int:
        """How many names start with exactly this text."""
        end = _end_of(prefix)
        before_end = len(self._names) if end is None else self._names.bisect_left(end)
        return before_end - self._names.bisect_left(prefix)

    def with_all(self, tags: Collection[str]) -> list[Record]:
        """The records that have all these tags; all records when no tags are given."""
        wanted = frozenset(tags)
        if not wanted:
            return self.everything()
        rarest = min((self._by_tag.get(tag, {}) for tag in wanted), key=len)
        return [record for record in rarest.values() if wanted <= record.metadata]

    def with_any(self, tags: Collection[str]) -> list[Record]:
        """The records that have at least one of these tags."""
        found: dict[str, Record] = {}
        for tag in tags:
            found.update(self._by_tag.get(tag, {}))
        return list(found.values())

    def candidates(self, prefix: str) -> list[Record]:
        """The records whose names start with exactly this text, sorted by name; or all, in order of registration, among
        which it is quicker to look for them where they are many.
        """
        are_many = self.count_with_prefix(prefix) > len(self) // MANY
        return self.everything() if are_many else self.with_prefix(prefix)

    def shared_tags(self, tags: frozenset[str]) -> frozenset[str]:
        """The copy of a set of tags that the records have in common, or `tags` itself if none has them."""
        return self._tag_sets.find(tags)

    def stage(self, changes: Iterable[Change], *, expired: bool = False) -> Staged:
        """Announce changes. Each Staged must be ended by one `apply` or `abandon`."""
        staged = Staged(tuple(changes), expired)
        self._outstanding.append(staged)
        upcoming = self._upcoming
        for name, record in staged.changes:
            upcoming[name] = staged, record
        return staged

    def apply(self, staged: Staged) -> list[Event]:
        """Make staged changes true, in their order.

        Raises ValueError unless `staged` is the oldest that is outstanding: later ones were decided on the
        assumption that it comes first.
        """
        if not self._outstanding or self._outstanding[0] is not staged:
            raise ValueError("staged changes are applied once, in the order in which they were staged")
        self._outstanding.popleft()
        self._forget(staged)
        return self._make(staged.changes, staged.expired, self.revision, 1)

    def make(self, changes: Sequence[Change], *, expired: bool = False) -> list[Event]:
        """Make changes true that are durable already, in their order. Raises ValueError while others are staged: they
        were decided on before.
        """
        if self._outstanding:
            raise ValueError("changes are not made while others are staged; stage them, too")
        return self._make(changes, expired, self.revision, 1)

    def follow(self, changes: Iterable[Change], revision: int, *, expired: bool = False) -> list[Event]:
        """Make changes true that have become so elsewhere, all of them at `revision`; what is staged here stays so."""
        return self._make(changes, expired, revision, 0)

    def abandon(self, staged: Staged) -> None:
        """Forget staged changes that will not happen. Raises ValueError when they are not outstanding."""
        if staged not in self._outstanding:
            raise ValueError("these changes are not staged here, or were applied or abandoned already")
        names = self._forget(staged)
        for earlier in self._outstanding:
            if earlier is staged:
                break
            for name, record in earlier.changes:
                if name in names:
                    self._upcoming[name] = earlier, record
        self._outstanding.remove(staged)

    def upcoming(self, name: str) -> Record | None:
        """What the name will stand for when all staged changes are applied."""
        last = self._upcoming.get(name)
        return self._records.get(name) if last is None else last[1]

    def _forget(self, staged: Staged) -> set[str]:
        """No longer expect what is staged here. The names for which nothing was staged later."""
        upcoming = self._upcoming
        names = set()
        for change in staged.changes:
            name = change.name
            last = upcoming.get(name)
            if last is not None and last[0] is staged:
                del upcoming[name]
                names.add(name)
        return names

    def _make(self, changes: Iterable[Change], expired: bool, revision: int, step: int) -> list[Event]:
        events = []
        known, names, put = self._records, self._names, self._put
        for name, record in changes:
            revision += step
            if record is None:
                old = self._delete(name)
                if old is not None:
                    events.append(Event(revision, EXPIRED if expired else REMOVED, old))
            elif name in known:
                events.append(Event(revision, UPDATED, put(record)))
            else:
                names.add(name)
                events.append(Event(revision, REGISTERED, put(record)))
        self.revision = revision
        return events

    def _names_with_prefix(self, prefix: str) -> Iterator[str]:
        """The names that start with exactly this text, sorted."""
        # Names that share a prefix are neighbours in the sorted list, from where the prefix itself would be.
        return iter(self._names.irange(prefix, _end_of(prefix), inclusive=(True, False)))

    def _put(self, record: Record) -> Record:
        """Into everything but the sorted names, which `load` fills at once. The record as it is kept."""
        name, tags = record.name, record.metadata
        if tags:
            tags = self._tag_sets.take(tags)
        old = self._records.get(name)
        if old is not None:
            name = old.name  # keeps one copy of the text, the one that the indexes hold
            self._untag(old, keep=tags)
        elif len(name) > self.longest:
            self.longest = len(name)
        if name is not record.name or tags is not record.metadata:
            record = Record(name, record.uri, tags, record.owner, record.lease)
        self._records[name] = record
        for tag in tags:
            tagged = self._by_tag.get(tag)
            if tagged is None:
                self._by_tag[tag] = {name: record}
            else:
                tagged[name] = record
        return record

    def _delete(self, name: str) -> Record | None:
        record = self._records.pop(name, None)
        if record is not None:
            self._names.remove(name)
            self._untag(record, keep=frozenset())
        return record

    def _untag(self, record: Record, keep: frozenset[str]) -> None:
        for tag in record.metadata - keep:
            tagged = self._by_tag[tag]
            del tagged[record.name]
            if not tagged:
                del self._by_tag[tag]
        self._tag_sets.drop(record.metadata)


def _end_of(prefix: str) -> str | None:
    """The first text beyond all that start with `prefix`; None if these are the last of all texts."""
    rest = prefix.rstrip(chr(sys.maxunicode))
    return rest[:-1] + chr(ord(rest[-1]) + 1) if rest else None
