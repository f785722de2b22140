"""The places that names are moved from and to: running name servers, and storages."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from pyronym.cli.catalogue import Selection, details, found
from pyronym.cli.where import Where
from pyronym.client.proxy import Proxy
from pyronym.directory.record import Change, Lease, Record
from pyronym.errors import NameTakenError
from pyronym.settings import Settings
from pyronym.storage.base import Storage
from pyronym.storage.choose import storage_by_name
from pyronym.storage.shared import SharedStorage
from pyronym.storage.upkeep import kind_and_path, records_of
from pyronym.uri import NAMESERVER_NAME

PLACES: Final = "ns:HOST[:PORT], sql:FILE, dbm:FILE or etcd://HOST:PORT/PREFIX"

AT_ONCE: Final = 100
"""Records that one message, or one commit, puts. etcd takes 127 in a transaction."""
CONNECTIONS: Final = 16
"""To a name server of pyronym's, which makes one commit of what comes by all. Stock ones make one of each name."""


class Step(NamedTuple):
    """Some records have been put."""

    number: int
    taken: Sequence[str]
    """The names of those of them that have not, as there is something now that was not there before."""


class Target(Protocol):
    """A place that is open, to put records into."""

    keeps_owners: bool
    keeps_leases: bool

    def read(self) -> Sequence[Record]:
        """All that it has."""

    def put(self, records: Sequence[Record], *, over: bool) -> Iterator[Step]:
        """Put records, some at a time. With `over` they replace what is there."""


class Place(Protocol):
    """Where names are."""

    @property
    def description(self) -> str:
        """For people."""

    def read(self) -> Sequence[Record]:
        """All names but that of the name server itself. Nobody notices."""

    def opened(self) -> AbstractContextManager[Target]:
        """To put records into."""


def place_at(text: str | None, where: Where) -> Place:
    """The place that an argument names; without one the name server at `where`. ValueError if it names none."""
    if text is None:
        return _NameServer(where)
    kind, _, rest = text.partition(":")
    if kind == "ns":
        return _NameServer(where.at(rest) if rest else where)
    if kind in ("sql", "dbm", "etcd", "etcds"):
        return _Storage(text, where.settings)
    if text == "memory":
        raise ValueError("the storage memory is within a running name server (expected ns:HOST[:PORT])")
    raise ValueError(f"{text!r} is no place for names (expected {PLACES})")


@dataclass(frozen=True)
class _NameServer:
    where: Where

    @property
    def description(self) -> str:
        return f"ns:{self.where.ns}" if self.where.ns else "the name server"

    def read(self) -> Sequence[Record]:
        with self.where.connect() as name_server:
            return _listed(name_server)

    @contextmanager
    def opened(self) -> Iterator[Target]:
        with self.where.connect() as name_server:
            yield _OpenNameServer(name_server)


def _listed(name_server: Proxy) -> list[Record]:
    known = details(name_server, "")
    records = []
    for name, entry in found(name_server, Selection()).items():
        about = known.get(name)
        lease = None
        if about is not None and (about.lease is not None or about.ephemeral):
            lease = Lease(secrets.token_hex(8), about.lease, about.ephemeral)
        if name != NAMESERVER_NAME:
            records.append(Record(name, entry.uri, entry.metadata, None, lease))
    return records


class _OpenNameServer:
    keeps_owners = False  # whoever registers a name owns it

    def __init__(self, name_server: Proxy) -> None:
        self._name_server = name_server
        self.keeps_leases = name_server._pyroOffers("renew")

    def read(self) -> Sequence[Record]:
        return _listed(self._name_server)

    def put(self, records: Sequence[Record], *, over: bool) -> Iterator[Step]:
        def register(part: Sequence[Record]) -> Step:
            with copy(self._name_server) as own:
                return Step(len(part), self._register(own, part, safe=not over))

        with ThreadPoolExecutor(CONNECTIONS if self.keeps_leases else 1) as pool:
            try:
                yield from pool.map(register, _parts(records))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _register(self, name_server: Proxy, records: Sequence[Record], *, safe: bool) -> list[str]:
        """Register records; the names that were taken."""
        taken = []
        left = list(records)
        while left:
            batch = name_server._pyroBatch()
            for record in left:
                batch.register(record.name, record.uri, safe, sorted(record.metadata), **self._lease_of(record))
            done = 0
            try:
                for _ in batch() or ():
                    done += 1
            except NameTakenError:  # the batch has ended there
                taken.append(left[done].name)
                left = left[done + 1 :]
            else:
                break
        return taken

    def _lease_of(self, record: Record) -> Mapping[str, object]:
        if record.lease is None or not self.keeps_leases:
            return {}
        return {"lease": record.lease.seconds, "ephemeral": record.lease.ephemeral}


@dataclass(frozen=True)
class _Storage:
    description: str
    settings: Settings

    def read(self) -> Sequence[Record]:
        if self.description.startswith(("sql:", "dbm:")):
            return _others(records_of(*kind_and_path(self.description)))
        with closing(storage_by_name(self.description, self.settings, wait=False)) as store:
            assert isinstance(store, SharedStorage), "no other kind is a place"
            return _others(store.look())

    @contextmanager
    def opened(self) -> Iterator[Target]:
        with closing(storage_by_name(self.description, self.settings, wait=False)) as store:
            yield _OpenStorage(store)


class _OpenStorage:
    """A storage that no name server is using, or that several share. Nobody else changes the former."""

    keeps_owners = True
    keeps_leases = True

    def __init__(self, store: Storage) -> None:
        self._store = store
        self._node = store.node if isinstance(store, SharedStorage) else None

    def read(self) -> Sequence[Record]:
        return _others(self._store.load())

    def put(self, records: Sequence[Record], *, over: bool) -> Iterator[Step]:
        for part in _parts(records):
            self._store.commit([Change(record.name, self._own(record)) for record in part])
            yield Step(len(part), ())

    def _own(self, record: Record) -> Record:
        """A record as this storage has it: a lease in etcd is counted by a node. As this one ends at once, the record
        goes unless it is renewed at another one.
        """
        return record if record.lease is None else record._replace(lease=record.lease._replace(node=self._node))


def _others(records: Iterable[Record]) -> list[Record]:
    return [record for record in records if record.name != NAMESERVER_NAME]


def _parts(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    for start in range(0, len(records), AT_ONCE):
        yield records[start : start + AT_ONCE]
