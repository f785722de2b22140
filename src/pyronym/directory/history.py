"""The latest events, so that those who watch can go on from where they were."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import Final

from pyronym.directory.record import Event, Record

MAX_TEXT: Final = 64 * 1024 * 1024
"""Characters of names, URIs and tags that the events may hold together. One record may have four million."""

_revision = attrgetter("revision")


class History:
    """The latest events of a directory that had `revision` when it began: `most` of them, or somewhat more."""

    def __init__(self, revision: int, most: int) -> None:
        self._most = most
        self._begin = revision
        """The revision after which everything is here."""
        self._events: list[Event] = []
        self._text = 0

    def __len__(self) -> int:
        return len(self._events)

    def extend(self, events: Sequence[Event]) -> None:
        """Add what has happened since."""
        self._events += events
        for _, _, record in events:
            self._text += len(record[0]) + len(record[1])
            if record[2]:
                self._text += _tags(record)
        if len(self._events) > 2 * self._most or self._text > MAX_TEXT:
            self._forget()

    def since(self, revision: int) -> Iterator[Event] | None:
        """What has happened after `revision`; None when that is older than what is kept."""
        if revision < self._begin:
            return None
        first = bisect_right(self._events, revision, key=_revision)
        return islice(self._events, first, None)

    def _forget(self) -> None:
        """Keep the younger half, but no more than `most`; and less if even that has too much text."""
        keep = min(self._most, len(self._events) // 2)
        while True:
            kept = self._events[len(self._events) - keep :]
            text = sum(len(record.name) + len(record.uri) + _tags(record) for _, _, record in kept)
            if text <= MAX_TEXT // 2 or keep == 0:
                break
            keep //= 2
        self._begin = self._events[len(self._events) - keep - 1].revision
        self._events, self._text = kept, text


def _tags(record: Record) -> int:
    return sum(map(len, record.metadata))
