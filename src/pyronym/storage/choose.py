"""Storages by the names that options and arguments give them."""

from __future__ import annotations

from pyronym.settings import Settings, config
from pyronym.storage.base import Storage
from pyronym.storage.dbm import DbmStore
from pyronym.storage.mapping import MappingStore
from pyronym.storage.memory import MemoryStorage
from pyronym.storage.sqlite import SqliteStore


def storage_by_name(name: str | None, settings: Settings | None = None, *, wait: bool = True) -> Storage:
    """The storage that ``memory`` (or nothing), ``sql:FILE``, ``dbm:FILE`` or ``etcd://HOST:PORT/PREFIX`` stands for.

    ValueError for anything else, StorageError if the file cannot be used. `wait`: whether one that is in the network
    waits, when it is loaded, until it can be reached.
    """
    kind, _, place = (name or "memory").partition(":")
    if kind == "memory" and not place:
        return MappingStore(MemoryStorage())
    if kind == "sql" and place:
        return SqliteStore(place, alone=True)
    if kind == "dbm" and place:
        return DbmStore(place)
    if kind in ("etcd", "etcds"):
        return _etcd(str(name), settings or config.settings, wait)
    raise ValueError(f"invalid storage type '{name}' (expected memory, sql:FILE, dbm:FILE or etcd://HOST:PORT/PREFIX)")


def _etcd(address: str, settings: Settings, wait: bool) -> Storage:
    try:
        from pyronym.storage.etcd.store import EtcdStorage  # only here: others need not have grpc
    except ImportError as problem:
        raise ValueError(f"the storage etcd: needs {problem.name} (pip install 'pyronym[etcd]')") from problem
    return EtcdStorage(address, settings, wait=wait)
