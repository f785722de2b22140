"""Lists of names in pages: which, in what order, and from where on. Never on an event loop: it may take long.

Where names are sorted by name, and nothing but their prefix counts, a page is read from the index at the cost of its
length. Otherwise all names are looked through, in steps of the interpreter between which others have their turn.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from heapq import nlargest, nsmallest
from typing import Literal, NamedTuple

from pyronym.directory.record import Record
from pyronym.service.guard import Guard
from pyronym.web.problems import Problem

Sort = Literal["name", "-name", "uri", "-uri"]

_Key = tuple[str, str]
"""What records are sorted by: what the client wants, and the name."""


class Page(NamedTuple):
    """Some records of many: how many there are, and the cursor of the next page, if there is one."""

    records: list[Record]
    total: int
    next: str | None


@dataclass(frozen=True)
class Wanted:
    """What a client wants to see. All filters must fit."""

    prefix: str
    regex: str | None
    tags: frozenset[str]
    any_tags: frozenset[str]
    sort: Sort
    limit: int
    cursor: str | None

    @property
    def is_backwards(self) -> bool:
        """Whether the last come first."""
        return self.sort.startswith("-")

    @property
    def beyond(self) -> _Key | None:
        """The key after which the page begins. Problem if the cursor is none."""
        if self.cursor is None:
            return None
        try:
            sort, key, name = json.loads(base64.urlsafe_b64decode(self.cursor.encode()))
        except (binascii.Error, ValueError, TypeError):
            sort = key = name = None
        if sort != self.sort or not isinstance(key, str) or not isinstance(name, str):
            raise Problem(400, f"invalid cursor: {self.cursor[:100]!r} (expected `next` of a page, with the same sort)")
        return key, name

    def key(self, record: Record) -> _Key:
        """By which the record is sorted."""
        return record.uri if self.sort.endswith("uri") else record.name, record.name

    def fits(self, record: Record) -> bool:
        """Whether the record is wanted, as far as a regular expression does not say."""
        return (
            record.name.startswith(self.prefix)
            and self.tags <= record.metadata
            and (not self.any_tags or not self.any_tags.isdisjoint(record.metadata))
        )

    def page(self, records: list[Record], total: int) -> Page:
        """A page of `records`, the first of those that come, and one more if there are more."""
        if len(records) <= self.limit:
            return Page(records, total, None)
        records = records[: self.limit]
        cursor = json.dumps([self.sort, *self.key(records[-1])]).encode()
        return Page(records, total, base64.urlsafe_b64encode(cursor).decode())


def page_of(guard: Guard, wanted: Wanted) -> Page:
    """The page that a client wants. Raises Problem for a cursor that is none, and what searching raises."""
    beyond = wanted.beyond
    is_plain = wanted.regex is None and not wanted.tags and not wanted.any_tags and wanted.sort.endswith("name")
    if is_plain and guard.reads_everything:
        after = beyond and beyond[1]
        records = guard.page(wanted.prefix, after, wanted.limit + 1, backwards=wanted.is_backwards)
        return wanted.page(records, guard.count_with_prefix(wanted.prefix))
    if wanted.regex is not None:
        found = guard.matching(wanted.regex, lambda records: _chosen(records, wanted, beyond))
        return found.result() if isinstance(found, Future) else found
    return _chosen(_candidates(guard, wanted), wanted, beyond)


def _candidates(guard: Guard, wanted: Wanted) -> list[Record]:
    """Few records, among them all that are wanted."""
    if wanted.tags:
        return guard.with_all(wanted.tags)
    if wanted.any_tags:
        return guard.with_any(wanted.any_tags)
    return guard.with_prefix(wanted.prefix) if wanted.prefix else guard.everything()


def _chosen(records: Iterable[Record], wanted: Wanted, beyond: _Key | None) -> Page:
    total = 0

    def to_come() -> Iterator[Record]:
        nonlocal total
        for record in filter(wanted.fits, records):
            total += 1
            if beyond is None or (wanted.key(record) < beyond if wanted.is_backwards else wanted.key(record) > beyond):
                yield record

    # Not sorted as a whole: that would be one long step, in which nobody else has a turn.
    first = nlargest if wanted.is_backwards else nsmallest
    found = first(wanted.limit + 1, to_come(), key=wanted.key)
    return wanted.page(found, total)
