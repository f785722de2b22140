"""Check, salvage and copy the files of a storage, also while a name server is using them."""

from __future__ import annotations

import dbm
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Sequence
from contextlib import closing

from pyronym.directory.record import Change, Record
from pyronym.errors import StorageError
from pyronym.storage.base import failure, refuse_what_is_no_file
from pyronym.storage.dbm import DbmStore
from pyronym.storage.journal import sync_file, sync_folder
from pyronym.storage.salvage import Salvaged, salvage_dbm, salvage_sqlite
from pyronym.storage.sqlite import SqliteStore
from pyronym.storage.sqlite_check import all_damage, damage_at_start, read

_DBM_PARTS = ("", ".dat", ".dir", ".bak", ".db", ".pag", ".tags", ".journal", ".new")
_ATTEMPTS = 50
"""Files that a server is just writing afresh are copied again."""


def kind_and_path(name: str) -> tuple[str, str]:
    """What ``sql:FILE``, ``dbm:FILE`` or just ``FILE`` stands for: (``sql`` or ``dbm``, FILE).

    ValueError if there is no such file, or if it does not say what kind it is. StorageError if it is no file.
    """
    kind, _, path = name.partition(":")
    if kind not in ("sql", "dbm"):
        kind, path = "", name
    if not any(os.path.exists(path + part) for part in (*_DBM_PARTS, "-wal")) or not path:
        raise ValueError(f"there is no storage {path!r} (expected the path of a SQLite or dbm file)")
    refuse_what_is_no_file(path)
    if not kind:
        kind = _kind_by_contents(path)
    return kind, path


def check(kind: str, path: str) -> list[str]:
    """All that is wrong with a storage; empty when it is whole. StorageError if it cannot be read."""
    if kind == "sql":
        try:
            return all_damage(path)
        except sqlite3.DatabaseError as problem:
            if isinstance(problem, sqlite3.OperationalError):
                raise failure(
                    "cannot read", path, problem, "check the file, its folder and their permissions"
                ) from problem
            return [str(problem)]
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, os.path.basename(path))
        try:
            _copy_dbm(path, copy)
            with closing(DbmStore(copy)) as store:
                store.load()
        except StorageError as problem:
            return [str(problem).replace(copy, path)]
    return []


def salvage(kind: str, path: str, target: str, *, with_wal: bool = True) -> Salvaged:
    """Write what can be read of a storage to a new one of the same kind at `target`, and tell what that was.

    StorageError when nothing at all can be read, ValueError when there is something at `target`.
    """
    _refuse_existing(kind, target)
    try:
        found = salvage_sqlite(path, with_wal=with_wal) if kind == "sql" else salvage_dbm(path)
    except OSError as problem:
        raise failure("cannot read", path, problem, "check that it may be read, and the disk") from problem
    if not found.records and found.losses:
        raise failure("cannot salvage", path, "no name can be read; " + "; ".join(found.losses), "use a backup")
    if kind == "sql":
        part = _part(target)
        with closing(SqliteStore(part)) as store:
            store.commit([Change(record.name, record) for record in found.records])
        _put_in_place(part, target)
    else:
        _write_dbm(target, found.records)
    return found


def backup(kind: str, path: str, target: str, *, force: bool = False) -> int:
    """Copy a storage, as it is at one moment, to `target`; what is there is whole at every moment. The number of names.

    ValueError when there is something at `target`, unless `force` allows to replace it. StorageError when the storage
    is damaged or cannot be read, or the copy cannot be written.
    """
    if os.path.realpath(path) == os.path.realpath(target):
        raise ValueError(f"{target} is the storage itself (expected another file)")
    folder = os.path.dirname(target) or "."
    if not os.path.isdir(folder):
        raise ValueError(f"the folder {folder} does not exist (expected one to write {target} to)")
    if not force:
        _refuse_existing(kind, target)
    return _backup_sqlite(path, target) if kind == "sql" else _backup_dbm(path, target)


def records_of(kind: str, path: str) -> list[Record]:
    """What is in a storage at one moment. Neither it nor a name server that is using it notices. Raises as `backup`."""
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "copy")
        backup(kind, path, copy)
        with closing(SqliteStore(copy) if kind == "sql" else DbmStore(copy)) as store:
            return store.load()


def _backup_sqlite(path: str, target: str) -> int:
    wal = os.path.realpath(target) + "-wal"
    if os.path.exists(wal) and os.path.getsize(wal):
        why, advice = f"it is in use, or was not closed: there is {wal}", "give another file"
        raise failure("cannot replace", target, why, advice)
    part = _part(target)
    try:
        with closing(sqlite3.connect(part, isolation_level=None)) as copy:
            read(path, lambda source: source.backup(copy))
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, whatever the other one uses
            number: int = copy.execute("SELECT count(*) FROM pyro_names").fetchone()[0]
        damage = damage_at_start(part)
    except sqlite3.Error as problem:
        _remove(part)
        raise failure("cannot back up", path, problem, f"see what is wrong: pyronym check sql:{path}") from problem
    if damage:
        _remove(part)
        raise failure("cannot back up", path, f"it is damaged ({damage})", f"pyronym salvage sql:{path} NEWFILE")
    _put_in_place(part, target)
    return number


def _backup_dbm(path: str, target: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, os.path.basename(path))
        try:
            _copy_dbm(path, copy)
            with closing(DbmStore(copy)) as store:
                records = store.load()
        except StorageError as problem:
            raise StorageError(str(problem).replace(copy, path)) from problem
    _write_dbm(target, records)
    return len(records)


def _write_dbm(target: str, records: Sequence[Record]) -> None:
    """One commit: whoever looks finds all that was there before, or all this."""
    with closing(DbmStore(target)) as store:
        old = {record.name for record in store.load()} - {record.name for record in records}
        changes = [Change(name, None) for name in old] + [Change(record.name, record) for record in records]
        store.commit(changes)


def _copy_dbm(path: str, copy: str) -> None:
    """Copy all parts of a dbm storage as they are at one moment.

    The files of the dbm are only ever replaced, so they are those of one moment when none was replaced meanwhile. The
    journal only grows as long as that is so, or is replaced by its end when the rest is in the dbm.
    """
    for _ in range(_ATTEMPTS):
        before = _identities(path)
        try:
            for part in _DBM_PARTS:
                _remove(copy + part)
                if os.path.isdir(path + part):
                    shutil.copytree(path + part, copy + part)
                elif os.path.exists(path + part):
                    shutil.copyfile(path + part, copy + part)
            if _identities(path) == before and _starts_with(path + ".journal", copy + ".journal"):
                return
        except FileNotFoundError:
            continue
        except OSError as problem:
            raise failure("cannot read", path, problem, "check that it may be read, and the disk") from problem
    raise failure("cannot read", path, "it is being written afresh again and again", "try again later")


def _identities(path: str) -> dict[str, tuple[int, int]]:
    """Which files there are: name -> (inode, time of the last change, for all but the journal)."""
    found = {}
    for part in _DBM_PARTS:
        try:
            status = os.stat(path + part)
        except FileNotFoundError:
            continue
        found[part] = status.st_ino, 0 if part == ".journal" else status.st_mtime_ns
    return found


def _starts_with(path: str, beginning: str) -> bool:
    """Whether a file begins with what another one holds; one that is not there is empty."""
    if not os.path.exists(beginning):
        return True
    with open(path, "rb") as file, open(beginning, "rb") as start:
        expected = start.read()
        return file.read(len(expected)) == expected


def _kind_by_contents(path: str) -> str:
    if os.path.isfile(path):
        with open(path, "rb") as file:
            if file.read(16) == b"SQLite format 3\0":
                return "sql"
    if dbm.whichdb(path) or any(os.path.exists(path + part) for part in (".journal", ".tags", ".new")):
        return "dbm"
    raise ValueError(f"{path} does not tell what it is, or is damaged; write sql:{path} or dbm:{path}")


def _refuse_existing(kind: str, target: str) -> None:
    parts: Collection[str] = ("", "-wal", "-journal") if kind == "sql" else _DBM_PARTS
    for part in parts:
        if os.path.lexists(target + part):
            raise ValueError(f"{target + part} exists already (expected a file that does not)")


def _part(target: str) -> str:
    """Where a file is written until it is complete."""
    part = target + ".part"
    for ending in ("", "-journal", "-wal", "-shm"):
        _remove(part + ending)
    return part


def _put_in_place(part: str, target: str) -> None:
    try:
        sync_file(part)
        os.replace(part, target)
        sync_folder(os.path.dirname(target))
    except OSError as problem:
        raise failure("cannot write", target, problem, "check the folder and the disk") from problem


def _remove(path: str) -> None:
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
