"""Names in files, as mappings of name -> (URI, metadata), by the names and signatures of ``Pyro4.naming_storage``.

Each can be given to a `pyronym.naming.NameServer` as its storage, and each can be used by itself: then every operation
reads or writes the file, and what it changed is durable, and visible to a stock Pyro4, when it returns. A mapping may
be used from several threads and its file from several processes; but a name server wants the file for itself. All
failures of files are StorageErrors, which are NamingErrors.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, ItemsView, Iterable, Iterator, ValuesView
from contextlib import closing, contextmanager

from pyronym.directory.record import Change, Record
from pyronym.errors import StorageError
from pyronym.service.arguments import checked_name, checked_regex, checked_tags
from pyronym.service.regexes import name_pattern
from pyronym.storage.dbm import DbmStore
from pyronym.storage.mapping import StoreMapping
from pyronym.storage.sqlite import SqliteStore

__all__ = ["DbmStorage", "SqlStorage"]


_Store = SqliteStore | DbmStore


class _FileStorage(StoreMapping):
    """The mapping protocol, and the further methods of Pyro4's storages, over a storage in a file.

    The file is open during an operation only, as in stock Pyro4: programs never close their storages, they fork, and
    they hand the file to others. Once a name server asked for the `store`, that one has the file, until `close`.
    """

    def __init__(self, open_store: Callable[[bool], _Store]) -> None:
        self._open_store = open_store
        """Its argument: whether it is for a name server, which shares the file with no other one."""
        self._lock = threading.Lock()
        self._store: _Store | None = None
        self._closed = False
        with self._using():
            pass  # creates the file, or finds out that it cannot be used

    @property
    def store(self) -> _Store:
        """The storage behind the mapping, which keeps the file open from here on."""
        with self._lock:
            if self._store is None:
                self._store = self._open(for_server=True)
            return self._store

    def close(self) -> None:
        """Close the file. Other operations raise StorageError from here on."""
        with self._lock:
            self._closed = True
            if self._store is not None:
                self._store.close()

    @contextmanager
    def _using(self) -> Iterator[_Store]:
        """The storage, for one thread at a time."""
        with self._lock:
            if self._store is not None:
                yield self._store
                return
            with closing(self._open(for_server=False)) as store:
                yield store

    def _open(self, for_server: bool) -> _Store:
        if self._closed:
            raise StorageError("cannot use this storage: it is closed; make another one")
        return self._open_store(for_server)

    def __getitem__(self, name: str) -> tuple[str, set[str]]:
        with self._using() as store:
            return _entry(_existing(store, name))

    def __setitem__(self, name: str, value: tuple[str, Iterable[str] | None]) -> None:
        uri, metadata = value
        if not isinstance(uri, str):
            raise TypeError(f"uri must be a str, not {type(uri).__name__}")
        record = Record(checked_name(name), uri, checked_tags(metadata or ()))
        with self._using() as store:
            store.commit([Change(name, record)])

    def __delitem__(self, name: str) -> None:
        with self._using() as store:
            store.commit([Change(_existing(store, name).name, None)])

    def __len__(self) -> int:
        with self._using() as store:
            return store.count()

    def __iter__(self) -> Iterator[str]:
        return iter([record.name for record in self._records()])

    def items(self) -> ItemsView[str, tuple[str, set[str]]]:
        """All names with their (URI, metadata), as they are at this moment."""
        return {record.name: _entry(record) for record in self._records()}.items()

    def values(self) -> ValuesView[tuple[str, set[str]]]:
        """The (URI, metadata) of all names, as they are at this moment."""
        return {record.name: _entry(record) for record in self._records()}.values()

    def clear(self) -> None:
        """Delete all names, all or none of them."""
        with self._using() as store:
            store.commit([Change(record.name, None) for record in store.load()])

    def remove_items(self, items: Iterable[str]) -> None:
        """Delete these names, as far as they are there; all or none of them."""
        with self._using() as store:
            store.commit([Change(checked_name(name), None) for name in items])

    def everything(self, return_metadata: bool = False) -> dict[str, object]:
        """A copy: name -> URI, or with `return_metadata` name -> (URI, metadata)."""
        return _listing(self._records(), return_metadata)

    def optimized_prefix_list(self, prefix: str, return_metadata: bool = False) -> dict[str, object]:
        """What `everything` has of the names that start with exactly this text."""
        return _listing((record for record in self._records() if record.name.startswith(prefix)), return_metadata)

    def optimized_regex_list(self, regex: str, return_metadata: bool = False) -> dict[str, object]:
        """What `everything` has of the names that match a regular expression from their start.

        BadPatternError when it is none.
        """
        match = name_pattern(checked_regex(regex)).plain.match
        return _listing((record for record in self._records() if match(record.name)), return_metadata)

    def optimized_metadata_search(
        self,
        metadata_all: Collection[str] | None = None,
        metadata_any: Collection[str] | None = None,
        return_metadata: bool = False,
    ) -> dict[str, object]:
        """What `everything` has of the names that have all, and at least one, of these tags; None asks for nothing."""
        records = self._records()
        if metadata_all is not None:
            wanted = checked_tags(metadata_all, "metadata_all")
            records = [record for record in records if wanted <= record.metadata]
        if metadata_any is not None:
            welcome = checked_tags(metadata_any, "metadata_any")
            records = [record for record in records if welcome & record.metadata]
        return _listing(records, return_metadata)

    def _records(self) -> list[Record]:
        with self._using() as store:
            return store.load()


class SqlStorage(_FileStorage):
    """Names in an SQLite file, which may be one that a stock Pyro4 uses, of any version.

    `dbfile` is created when it does not exist. StorageError when it cannot be used, ValueError for ``:memory:``.
    """

    def __init__(self, dbfile: str | os.PathLike[str]) -> None:
        self.dbfile = dbfile
        super().__init__(lambda for_server: SqliteStore(dbfile, alone=for_server))


class DbmStorage(_FileStorage):
    """Names in a dbm file, which may be one that a stock Pyro4 wrote.

    A dbm has no place for metadata, so a stock Pyro4 on the same file sees names and URIs only; the metadata is kept
    beside it, in ``dbmfile.tags``. `dbmfile` is created when it does not exist. StorageError when it cannot be used.
    Every change writes the whole file afresh, unless a name server uses the mapping as its storage.
    """

    def __init__(self, dbmfile: str | os.PathLike[str]) -> None:
        self.dbmfile = dbmfile
        super().__init__(lambda _: DbmStore(dbmfile))


def _existing(store: _Store, name: object) -> Record:
    record = store.get(name) if isinstance(name, str) else None
    if record is None:
        raise KeyError(name)
    return record


def _entry(record: Record) -> tuple[str, set[str]]:
    return record.uri, set(record.metadata)


def _listing(records: Iterable[Record], return_metadata: bool) -> dict[str, object]:
    if return_metadata:
        return {record.name: _entry(record) for record in records}
    return {record.name: record.uri for record in records}
