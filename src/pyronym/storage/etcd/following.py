"""A thread that reads what changes in etcd, and tells the listener of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import attrgetter
from typing import Final

from pyronym.directory.record import Change, Record
from pyronym.storage.etcd.messages_pb2 import Event, RangeRequest, WatchCreateRequest, WatchRequest, WatchResponse
from pyronym.storage.etcd.transport import RANGE, WATCH, EtcdError, Stream, Transport
from pyronym.storage.etcd.values import KeyRange, Keys, following, loads, names_from, record_from
from pyronym.storage.shared import Listener, News

log = logging.getLogger(__name__)

PAGE: Final = 10_000
"""Keys in the first answer when all are read."""
PAGE_BYTES: Final = 16_000_000
"""Of keys and values in each further answer, about. For each answer etcd counts all the keys that follow: for a million
of them, 10,000 at a time, it took 13 seconds of processor time, and 4 like this.
"""
LOAD_SECONDS: Final = 30.0
"""That one such answer may take."""
PAUSE: Final = 0.3
"""Seconds after which a watch that broke off is begun again."""

_DELETED: Final = Event.DELETE
_REVISION: Final = attrgetter("kv.mod_revision")


class CompactedError(Exception):
    """What has happened since then is not known any more."""


class Contents:
    """What this node knows of the part of etcd below its prefix, beside the records."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self.nodes: dict[str, Mapping[str, object]] = {}
        self.unreadable: set[str] = set()
        """Names whose values are not pyronym's, or a newer one's. They must not be overwritten."""

    def record(self, name: str, value: bytes | None) -> Record | None:
        """The record of a value; None where there is no value, or, with a word in the log, if it cannot be read."""
        try:
            record = None if value is None else record_from(name, value)
        except ValueError as problem:
            if name not in self.unreadable:
                self.unreadable.add(name)
                log.error("skipped the value of %r in etcd: %s; it stays as it is", name, problem)
            return None
        self.unreadable.discard(name)
        return record

    def node(self, node: str, value: bytes | None) -> None:
        """Take note of a node, or of its end."""
        try:
            if value is None:
                self.nodes.pop(node, None)
            else:
                self.nodes[node] = loads(value)
        except ValueError as problem:
            log.warning("skipped the node %r in etcd: %s", node, problem)

    def news(self, revision: int, events: Iterator[Event]) -> News:
        """What the events of one revision mean for the records."""
        changes = []
        departed: frozenset[str] = frozenset()
        for event in events:
            pair = event.kv
            key = pair.key
            value = None if event.type == _DELETED else pair.value
            try:
                name = self._keys.name_in(key)
            except UnicodeDecodeError:
                log.error("skipped the key %r in etcd: it is not valid Unicode", key)
                continue
            if name is not None:
                changes.append(Change(name, self.record(name, value)))
            elif (node := self._keys.node_in(key)) is not None:
                self.node(node, value)
            elif key == self._keys.departed and value is not None:
                departed = _departed(value)
        return News(revision, changes, departed)


def _departed(value: bytes) -> frozenset[str]:
    try:
        return frozenset(names_from(value))
    except ValueError as problem:
        log.error("skipped a value of pyronym's own in etcd: %s", problem)
        return frozenset()


class Reader:
    """Reads everything below a prefix."""

    def __init__(self, transport: Transport, keys: Keys, contents: Contents) -> None:
        self._transport = transport
        self._keys = keys
        self._contents = contents

    def read(self) -> tuple[int, list[Record]]:
        """The revision, and the records then; the other contents are taken note of. EtcdError."""
        fresh = Contents(self._keys)
        revision, pairs = self._pairs(self._keys.nodes, 0)
        for key, value in pairs:
            node = self._keys.node_in(key)
            if node is not None:
                fresh.node(node, value)
        revision, pairs = self._pairs(self._keys.names, revision)
        records = []
        for key, value in pairs:
            try:
                name = self._keys.name_in(key)
            except UnicodeDecodeError:
                log.error("skipped the key %r in etcd: it is not valid Unicode", key)
                continue
            record = None if name is None else fresh.record(name, value)
            if record is not None:
                records.append(record)
        self._contents.nodes, self._contents.unreadable = fresh.nodes, fresh.unreadable
        return revision, records

    def _pairs(self, keys: KeyRange, revision: int) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Those keys and values at a revision, or, if that is 0, now; and which revision that is."""
        pairs: list[tuple[bytes, bytes]] = []
        begin, limit = keys.key, PAGE
        while True:
            asked = RangeRequest(key=begin, range_end=keys.range_end, limit=limit, revision=revision)
            answer = self._transport.call(RANGE, asked, LOAD_SECONDS, harmless=True)
            revision = revision or answer.header.revision
            pairs += [(pair.key, pair.value) for pair in answer.kvs]
            if not answer.more:
                return revision, pairs
            begin = following(pairs[-1][0])
            limit = max(1, PAGE_BYTES * len(answer.kvs) // answer.ByteSize())


class Follower:
    """Follows what happens after `revision`."""

    def __init__(
        self, transport: Transport, keys: Keys, contents: Contents, reader: Reader, revision: int, listener: Listener
    ) -> None:
        self._transport = transport
        self._keys = keys
        self._contents = contents
        self._reader = reader
        self._listener = listener
        self._stream: Stream[WatchResponse] | None = None
        self._closed = threading.Event()
        self._told = threading.Condition()
        self.revision = revision
        """Up to which the listener was told of everything."""
        self._thread = threading.Thread(target=self._run, name="pyronym-follower", daemon=True)
        self._thread.start()

    def wait_for(self, revision: int, timeout: float) -> bool:
        """Whether the listener has been told of everything up to a revision, after `timeout` seconds at most."""
        if self.revision >= revision:
            return True
        with self._told:
            return self._told.wait_for(lambda: self.revision >= revision or self._closed.is_set(), max(timeout, 0))

    def begin_again(self) -> None:
        """Leave the member that is followed, if it is not the one that answers, or says nothing."""
        stream = self._stream
        if stream is not None:
            stream.stop()

    @property
    def endpoint(self) -> str | None:
        """The member that is followed."""
        stream = self._stream
        return None if stream is None else stream.endpoint

    def close(self) -> None:
        """Follow no more."""
        self._closed.set()
        with self._told:
            self._told.notify_all()
        self.begin_again()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._follow()
            except CompactedError:
                self._reload()
            except EtcdError as problem:
                log.info("the watch of etcd broke off: %s", problem)
            except Exception:
                log.exception("following etcd failed; beginning again")
            self._closed.wait(PAUSE)

    def _follow(self) -> None:
        create = WatchCreateRequest(**self._keys.everything._asdict(), start_revision=self.revision + 1)
        self._stream = self._transport.stream(WATCH, WatchRequest(create_request=create))
        try:
            if self._closed.is_set():
                self._stream.stop()
            for message in self._stream:
                self._take(message)
        finally:
            self._stream = None

    def _take(self, message: WatchResponse) -> None:
        if message.canceled:
            if message.compact_revision:
                raise CompactedError
            raise EtcdError(message.cancel_reason or "it was canceled")
        if message.events:
            news = [self._contents.news(revision, group) for revision, group in groupby(message.events, _REVISION)]
            self._listener.follow(news)
            self._reached(news[-1].revision)

    def _reload(self) -> None:
        """Too much has happened to be told one by one."""
        log.warning("etcd has forgotten what happened since revision %d: reading everything anew", self.revision)
        began = time.monotonic()
        try:
            revision, records = self._reader.read()
        except EtcdError as problem:
            log.info("cannot read everything anew: %s", problem)
            return
        self._listener.replace(revision, records)
        self._reached(revision)
        log.warning("read %d records anew in %.1f seconds", len(records), time.monotonic() - began)

    def _reached(self, revision: int) -> None:
        with self._told:
            self.revision = revision
            self._told.notify_all()
