"""Storages by the names that options and arguments give them."""

from __future__ import annotations

from pyronym.storage.base import Storage
from pyronym.storage.dbm import DbmStore
from pyronym.storage.mapping import MappingStore
from pyronym.storage.memory import MemoryStorage
from pyronym.storage.sqlite import SqliteStore


def storage_by_name(name: str | None) -> Storage:
    """The storage that ``memory`` (or nothing), ``sql:FILE`` or ``dbm:FILE`` stands for.

    ValueError for anything else, StorageError if the file cannot be used.
    """
    kind, _, place = (name or "memory").partition(":")
    if kind == "memory" and not place:
        return MappingStore(MemoryStorage())
    if kind == "sql" and place:
        return SqliteStore(place, alone=True)
    if kind == "dbm" and place:
        return DbmStore(place)
    raise ValueError(f"invalid storage type '{name}' (expected memory, sql:FILE or dbm:FILE)")
