"""The latest events, so that those who watch can go on from where they were."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Final

from pyronym.directory.record import Event

MAX_TEXT: Final = 64 * 1024 * 1024
"""Characters of names, URIs and tags that the events may hold together. One record may have four million."""

CHUNK: Final = 1000
"""Events that are forgotten at a time. To forget 50,000 at once took 30 milliseconds, in which others waited."""

_revision = attrgetter("revision")


class _Chunk:
    """Some events in a row. `text`: the characters in them."""

    __slots__ = ("events", "text")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.text = 0


class History:
    """The latest events of a directory that had `revision` when it began: `most` of them, or somewhat more."""

    def __init__(self, revision: int, most: int) -> None:
        self._most = most
        self._chunk = max(1, min(CHUNK, most // 10))
        self._begin = revision
        """The revision after which everything is here."""
        self._chunks = deque([_Chunk()])
        self._size = 0
        self._text = 0

    def __len__(self) -> int:
        return self._size

    def extend(self, events: Sequence[Event]) -> None:
        """Add what has happened since."""
        chunk = self._chunks[-1]
        chunk.events += events
        self._size += len(events)
        text = 0
        for _, _, record in events:
            text += len(record[0]) + len(record[1])
            if record[2]:
                text += sum(map(len, record[2]))
        chunk.text += text
        self._text += text
        if len(chunk.events) >= self._chunk or chunk.text > MAX_TEXT // 8:
            self._chunks.append(_Chunk())
            self._forget()

    def since(self, revision: int) -> Iterator[Event] | None:
        """What has happened after `revision`; None when that is older than what is kept. What is added or forgotten
        later changes nothing in that.
        """
        if revision < self._begin:
            return None
        return chain.from_iterable([events[first:] for events, first in self._after(revision)])

    def count_since(self, revision: int) -> int:
        """How many events `since` gives."""
        if revision < self._begin:
            return 0
        return sum(len(events) - first for events, first in self._after(revision))

    def _after(self, revision: int) -> Iterator[tuple[list[Event], int]]:
        """The events of each chunk that has later ones, and where these begin."""
        for chunk in self._chunks:
            events = chunk.events
            if events and events[-1].revision > revision:
                yield events, bisect_right(events, revision, key=_revision)

    def _forget(self) -> None:
        """Forget the oldest chunks, as far as the others are enough, or have too much text."""
        while len(self._chunks) > 1:
            oldest = self._chunks[0]
            if self._size - len(oldest.events) < self._most and self._text <= MAX_TEXT:
                break
            self._chunks.popleft()
            self._size -= len(oldest.events)
            self._text -= oldest.text
            self._begin = oldest.events[-1].revision
