"""Records in a SQLite file that a stock Pyro4 can open, and that a stock Pyro4 may have written.

The schema is stock Pyro4's::

    pyro_names(id integer PRIMARY KEY, name nvarchar NOT NULL UNIQUE, uri nvarchar NOT NULL)
    pyro_metadata(object integer NOT NULL REFERENCES pyro_names(id), metadata nvarchar NOT NULL)

We add an index on ``pyro_metadata(object)``, which stock Pyro4 uses without knowing. Old versions of Pyro4 had only
``pyro_names(name, uri)``; such a file is brought up to date when it is opened.

Owners of records are in a table of our own, which is made for the first of them::

    pyronym_owners(name nvarchar PRIMARY KEY, uri nvarchar NOT NULL, owner nvarchar NOT NULL)

An owner counts only as long as the name has the same URI: when a stock Pyro4 removed the name or gave it another URI,
it belongs to something that is gone.

A server wants the file for itself: what another one writes it would never see. So it locks ``FILE.lock``, a file beside
it, which others than servers do not look at. (A lock on the file itself would do harm: as soon as its descriptor is
closed, the system drops SQLite's own locks with it.)

The file is in WAL mode with full synchronisation: a commit is one write and one fsync, and it survives power loss.
"""

from __future__ import annotations

import io
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from operator import itemgetter

from pyronym.directory.record import Change, Record
from pyronym.errors import StorageError
from pyronym.storage.base import broken_text, failure, refusal
from pyronym.storage.locking import open_locked

_SCHEMA = (
    """CREATE TABLE pyro_names
        (
            id integer PRIMARY KEY,
            name nvarchar NOT NULL UNIQUE,
            uri nvarchar NOT NULL
        )""",
    """CREATE TABLE pyro_metadata
        (
            object integer NOT NULL,
            metadata nvarchar NOT NULL,
            FOREIGN KEY(object) REFERENCES pyro_names(id)
        )""",
)
_OWNERS = """CREATE TABLE IF NOT EXISTS pyronym_owners
        (
            name nvarchar PRIMARY KEY,
            uri nvarchar NOT NULL,
            owner nvarchar NOT NULL
        )"""
_INDEX = "CREATE INDEX IF NOT EXISTS pyro_metadata_object ON pyro_metadata(object)"

_ANSWERS = {  # primary result code of SQLite: why, and what to do
    sqlite3.SQLITE_NOTADB: ("it is not a SQLite database", "give another file, or move this one away"),
    sqlite3.SQLITE_CORRUPT: ("the database is damaged", "restore it from a backup"),
    sqlite3.SQLITE_BUSY: ("it is locked by another process", "end that process, or give another file"),
    sqlite3.SQLITE_LOCKED: ("it is locked by another process", "end that process, or give another file"),
    sqlite3.SQLITE_READONLY: ("the file or its folder is read-only", "allow writing to both"),
    sqlite3.SQLITE_PERM: ("permission denied", "allow writing to the file and its folder"),
    sqlite3.SQLITE_FULL: ("the disk is full", "make room on it"),
    sqlite3.SQLITE_IOERR: ("the disk failed", "check the disk and the system's log"),
}


class SqliteStore:
    """Records in the SQLite file at `path`, which is created when it does not exist.

    A forked child of the process that opened it must not use it: SQLite's locks do not survive a fork.
    `busy_timeout`: seconds to wait while another process writes to the file. `alone`: no other store may be `alone`
    with the same file at the same time, in this process or another. Raises ValueError for a path that names no file,
    StorageError when the file cannot be used.
    """

    immediate = False

    def __init__(self, path: str | os.PathLike[str], *, busy_timeout: float = 2.0, alone: bool = False) -> None:
        self._path = os.fspath(path)
        self.description = f"sql:{self._path}"
        if self._path == ":memory:":
            raise ValueError("we don't support the sqlite :memory: database; use the memory storage instead")
        if not self._path:
            raise ValueError("the name of the sqlite file is empty; give a file name")
        self._lock = threading.Lock()
        self._has_owners = False
        self._lock_path = os.path.realpath(self._path) + ".lock"
        # First the database: what is wrong with the path is told in its words.
        self._db: sqlite3.Connection | None = self._connect(busy_timeout)
        try:
            self._lock_file = self._lock_out_others(busy_timeout) if alone else None
        except BaseException:
            self._db.close()
            raise

    def load(self) -> list[Record]:
        """All records in order of registration."""
        with self._using("cannot read") as db:
            records = _records(db)
            if not self._has_owners:
                return records
            owners = {row[:2]: row[2] for row in db.execute("SELECT name, uri, owner FROM pyronym_owners")}
        return [
            Record(name, uri, tags, owners.get((name, uri)))
            for name, uri, tags in ((record.name, record.uri, record.metadata) for record in records)
        ]

    def get(self, name: str) -> Record | None:
        """The record of one name as it is in the file at this moment; other processes may have changed it."""
        with self._using("cannot read") as db:
            return next(iter(_records(db, "WHERE name = ?", (name,))), None)

    def count(self) -> int:
        """How many names are in the file at this moment."""
        with self._using("cannot read") as db:
            number: int = db.execute("SELECT count(*) FROM pyro_names").fetchone()[0]
            return number

    def commit(self, changes: Sequence[Change]) -> None:
        """Make the changes in one transaction."""
        deleted: dict[str, None] = {}
        put: dict[str, Record] = {}
        for change in changes:
            if change.record is None:
                deleted[change.name] = None
                put.pop(change.name, None)
            else:
                put[change.name] = change.record
        # The id of a name, and so its place in the order, lasts until the name is deleted.
        names = [(name,) for name in {**deleted, **put}]
        tags = [(tag, record.name) for record in put.values() for tag in record.metadata]
        owners = [(record.name, record.uri, record.owner) for record in put.values() if record.owner is not None]
        with self._using("cannot write to") as db, _transaction(db):
            db.executemany("DELETE FROM pyro_metadata WHERE object = (SELECT id FROM pyro_names WHERE name = ?)", names)
            db.executemany("DELETE FROM pyro_names WHERE name = ?", [(name,) for name in deleted])
            db.executemany(
                "INSERT INTO pyro_names(name, uri) VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET uri = excluded.uri",
                [(record.name, record.uri) for record in put.values()],
            )
            db.executemany(
                "INSERT INTO pyro_metadata(object, metadata) SELECT id, ? FROM pyro_names WHERE name = ?", tags
            )
            if owners:
                db.execute(_OWNERS)
            if owners or self._has_owners:
                db.executemany("DELETE FROM pyronym_owners WHERE name = ?", names)
                db.executemany("INSERT INTO pyronym_owners(name, uri, owner) VALUES (?, ?, ?)", owners)
        self._has_owners = self._has_owners or bool(owners)

    def close(self) -> None:
        """Close the file. Unless another process has it open too, everything is then in this one file."""
        with self._lock:
            if self._db is not None:
                self._db.close()  # SQLite moves the WAL into the file and deletes it
                self._db = None
                if self._lock_file is not None:
                    os.unlink(self._lock_path)  # before the lock is gone: after that it may be someone else's
                    self._lock_file.close()

    def _lock_out_others(self, timeout: float) -> io.FileIO:
        try:
            return open_locked(self._lock_path, timeout)
        except BlockingIOError as problem:
            why, advice = "another name server is using it", "stop that one, or give another file"
            raise failure("cannot open", self._path, why, advice) from problem
        except OSError as problem:
            raise failure("cannot lock", self._lock_path, problem, "allow writing to it and its folder") from problem

    def _connect(self, timeout: float) -> sqlite3.Connection:
        with self._errors("cannot open"):
            db = sqlite3.connect(self._path, timeout=timeout, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(db)
            except BaseException:
                db.close()
                raise
            return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Settings of the connection, and the schema: as it is, created, or brought up to date."""
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = FULL")
        with suppress(sqlite3.OperationalError):
            # Where it is not possible, or another process is just doing the same, the file works in its old mode too.
            db.execute("PRAGMA journal_mode = WAL")
        with _transaction(db):
            names, metadata = _columns(db, "pyro_names"), _columns(db, "pyro_metadata")
            if not names and not metadata:
                _create(db)
            elif {"name", "uri"} <= names and not metadata:
                rows = db.execute("SELECT name, uri FROM pyro_names").fetchall()
                db.execute("DROP TABLE pyro_names")
                _create(db)
                db.executemany("INSERT OR REPLACE INTO pyro_names(name, uri) VALUES (?, ?)", rows)
            elif not ({"id", "name", "uri"} <= names and {"object", "metadata"} <= metadata):
                why = "its tables pyro_names and pyro_metadata are not those of a name server"
                raise failure("cannot open", self._path, why, "give another file")
            db.execute(_INDEX)
            self._has_owners = bool(_columns(db, "pyronym_owners"))
            db.execute("DELETE FROM pyro_names WHERE 0")  # fails if the file cannot be written to, else writes nothing

    @contextmanager
    def _using(self, what: str) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time."""
        with self._lock:
            if self._db is None:
                raise failure(what, self._path, "the storage is closed", "open it again")
            with self._errors(what):
                yield self._db

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Turn the errors of SQLite into StorageErrors."""
        try:
            yield
        except UnicodeEncodeError as problem:
            raise broken_text(self._path, problem) from problem
        except (sqlite3.DataError, sqlite3.IntegrityError, OverflowError) as problem:
            raise refusal(self._path, problem, "correct the name, URI or metadata") from problem
        except sqlite3.Error as problem:
            raise self._failure(what, problem) from problem

    def _failure(self, what: str, problem: sqlite3.Error) -> StorageError:
        code = getattr(problem, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in _ANSWERS:
            return failure(what, self._path, *_ANSWERS[code])
        folder = os.path.dirname(self._path) or "."
        if not os.path.isdir(folder):
            return failure(what, self._path, f"the folder {folder} does not exist", "create it first")
        if os.path.isdir(self._path):
            return failure(what, self._path, "it is a folder", "give a file")
        return failure(what, self._path, problem, "check the file, its folder and their permissions")


def _columns(db: sqlite3.Connection, table: str) -> set[str]:
    """The names of the columns of a table; none when it does not exist."""
    return {row[1] for row in db.execute(f"PRAGMA table_info({table})")}


def _create(db: sqlite3.Connection) -> None:
    for statement in _SCHEMA:
        db.execute(statement)


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _records(db: sqlite3.Connection, where: str = "", parameters: tuple[str, ...] = ()) -> list[Record]:
    """The records that an SQL condition selects, in order of registration."""
    rows = db.execute(
        f"SELECT name, uri, metadata FROM pyro_names LEFT JOIN pyro_metadata ON object = id {where} ORDER BY id",  # noqa: S608  # `where` is one of our own texts
        parameters,
    )
    records = []
    shared: dict[frozenset[str], frozenset[str]] = {}  # of a million names, most have tags in common
    for name, its_rows in groupby(rows, key=itemgetter(0)):
        # One row for each tag, a single one with None when there are no tags. Stock files may repeat a tag.
        _, uris, tags = zip(*its_rows, strict=True)
        metadata = frozenset(tags) - {None}
        records.append(Record(name, uris[0], shared.setdefault(metadata, metadata)))
    return records
