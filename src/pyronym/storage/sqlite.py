"""Records in a SQLite file that a stock Pyro4 can open, and that a stock Pyro4 may have written.

The schema is stock Pyro4's::

    pyro_names(id integer PRIMARY KEY, name nvarchar NOT NULL UNIQUE, uri nvarchar NOT NULL)
    pyro_metadata(object integer NOT NULL REFERENCES pyro_names(id), metadata nvarchar NOT NULL)

We add an index on ``pyro_metadata(object)``, which stock Pyro4 uses without knowing. Old versions of Pyro4 had only
``pyro_names(name, uri)``; such a file is brought up to date when it is opened.

Owners and leases of records are in a table of our own, which is made for the first of them::

    pyronym_extras(name nvarchar PRIMARY KEY, uri nvarchar NOT NULL, owner nvarchar, lease nvarchar)

A lease is text, see `pyronym.storage.extras`. A row counts only as long as the name has the same URI: when a stock
Pyro4 removed the name or gave it another URI, it belongs to something that is gone.

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
from functools import cache
from itertools import groupby
from operator import itemgetter

from pyronym.directory.record import Change, Record
from pyronym.errors import StorageError
from pyronym.storage.base import broken_text, failure, refusal, refuse_what_is_no_file
from pyronym.storage.extras import NO_EXTRAS, extras_of, has_extras, with_extras
from pyronym.storage.in_place import FilesInPlace
from pyronym.storage.locking import is_at, open_locked
from pyronym.storage.sqlite_check import damage_at_start

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
_EXTRAS = """CREATE TABLE IF NOT EXISTS pyronym_extras
        (
            name nvarchar PRIMARY KEY,
            uri nvarchar NOT NULL,
            owner nvarchar,
            lease nvarchar
        )"""
_FOREIGN_TABLES = (
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB 'sqlite_*' ORDER BY name LIMIT 5"
)
_INDEX = "CREATE INDEX IF NOT EXISTS pyro_metadata_object ON pyro_metadata(object)"

# For so many rows as there are question marks in place of the braces.
_DELETE_TAGS = "DELETE FROM pyro_metadata WHERE object IN (SELECT id FROM pyro_names WHERE name IN (VALUES {}))"
_DELETE_NAMES = "DELETE FROM pyro_names WHERE name IN (VALUES {})"
_PUT_NAMES = "INSERT INTO pyro_names(name, uri) VALUES {} ON CONFLICT(name) DO UPDATE SET uri = excluded.uri"
_PUT_TAGS = """WITH given(name, metadata) AS (VALUES {})
    INSERT INTO pyro_metadata(object, metadata) SELECT id, metadata FROM given CROSS JOIN pyro_names USING (name)"""
_DELETE_EXTRAS = "DELETE FROM pyronym_extras WHERE name IN (VALUES {})"
_PUT_EXTRAS = "INSERT INTO pyronym_extras(name, uri, owner, lease) VALUES {}"

_MAX_ROWS = 256
"""Rows that one statement is given; SQLite takes 32766 values (999 before 3.32)."""

_SAVE = "save what can be read in it with: pyronym salvage sql:FILE NEWFILE"
_ANSWERS = {  # result code of SQLite: why, and what to do
    sqlite3.SQLITE_NOTADB: ("it is not a SQLite database", f"give another file; if it was one, {_SAVE}"),
    sqlite3.SQLITE_CORRUPT: ("the database is damaged", f"restore it from a backup, or {_SAVE}"),
    sqlite3.SQLITE_BUSY: ("it is locked by another process", "end that process, or give another file"),
    sqlite3.SQLITE_LOCKED: ("it is locked by another process", "end that process, or give another file"),
    sqlite3.SQLITE_READONLY: ("the file or its folder is read-only", "allow writing to both"),
    sqlite3.SQLITE_PERM: ("permission denied", "allow writing to the file and its folder"),
    sqlite3.SQLITE_FULL: ("the disk is full", "make room on it"),
    sqlite3.SQLITE_IOERR: (
        "the disk failed",
        "check the disk, whether it is mounted read-only, quotas, limits of file size, and the system's log",
    ),
    sqlite3.SQLITE_IOERR_FSYNC: ("the disk failed to keep what was written", "check the disk and the system's log"),
}


class SqliteStore:
    """Records in the SQLite file at `path`, which is created when it does not exist.

    A forked child of the process that opened it must not use it: SQLite's locks do not survive a fork.
    `busy_timeout`: seconds to wait while another process writes to the file. `alone`: no other store may be `alone`
    with the same file at the same time, in this process or another, and it does not put its tables into the database of
    another program, as the storage of stock Pyro4 does. Raises ValueError for a path that names no file,
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
        self._alone = alone
        self._remains = False
        self._lock = threading.Lock()
        self._has_extras = False
        self._lock_path = os.path.realpath(self._path) + ".lock"
        # First the database: what is wrong with the path is told in its words.
        self._db: sqlite3.Connection | None = self._connect(busy_timeout)
        self._files = FilesInPlace((os.path.abspath(self._path), os.path.realpath(self._path) + "-wal"))
        try:
            self._lock_file = self._lock_out_others(busy_timeout) if alone else None
        except BaseException:
            self._db.close()
            raise

    def load(self) -> list[Record]:
        """All records in order of registration."""
        with self._using("cannot read") as db:
            records = _records(db)
            if not self._has_extras:
                return records
            extras = {row[:2]: row[2:] for row in db.execute("SELECT name, uri, owner, lease FROM pyronym_extras")}
        try:
            return [with_extras(record, *extras.get(record[:2], NO_EXTRAS)) for record in records]
        except ValueError as problem:
            why = f"the database is damaged ({problem})"
            raise failure("cannot read", self._path, why, _ANSWERS[sqlite3.SQLITE_CORRUPT][1]) from problem

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
        names = list({**deleted, **put})
        records = [text for record in put.values() for text in (record.name, record.uri)]
        tags = [text for record in put.values() for tag in record.metadata for text in (record.name, tag)]
        extras = [
            text
            for record in put.values()
            if has_extras(record)
            for text in (record.name, record.uri, *extras_of(record))
        ]
        with self._writing() as db:
            _execute_in_bulk(db, _DELETE_TAGS, 1, names)
            _execute_in_bulk(db, _DELETE_NAMES, 1, list(deleted))
            _execute_in_bulk(db, _PUT_NAMES, 2, records)
            _execute_in_bulk(db, _PUT_TAGS, 2, tags)
            if extras:
                db.execute(_EXTRAS)
            if extras or self._has_extras:
                _execute_in_bulk(db, _DELETE_EXTRAS, 1, names)
                _execute_in_bulk(db, _PUT_EXTRAS, 4, extras)
        self._has_extras = self._has_extras or bool(extras)

    def close(self) -> None:
        """Close the file. Unless another process has it open too, everything is then in this one file."""
        with self._lock:
            db, self._db = self._db, None
            if db is None:
                return
            try:
                with self._errors("cannot close"):
                    self._bury_remains(db)
            finally:
                db.close()  # SQLite moves the WAL into the file and deletes it
                if self._lock_file is not None:
                    with suppress(OSError):  # one that is left behind is no hindrance
                        if is_at(self._lock_file, self._lock_path):
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
        refuse_what_is_no_file(self._path)
        with self._errors("cannot open"):
            self._refuse_damaged()
            db = sqlite3.connect(self._path, timeout=timeout, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(db)
            except BaseException:
                db.close()
                raise
            return db

    def _refuse_damaged(self) -> None:
        """Raises StorageError for a damaged file, before anything is written to it."""
        try:
            damage = damage_at_start(self._path)
        except sqlite3.OperationalError:
            return  # the file cannot even be opened to read; opening it to write will say why
        if damage:
            raise failure(
                "cannot open", self._path, f"the database is damaged ({damage})", _ANSWERS[sqlite3.SQLITE_CORRUPT][1]
            )

    def _refuse_foreign(self, db: sqlite3.Connection) -> None:
        """Raises StorageError for the database of another program, before anything is written to it."""
        names, metadata = _columns(db, "pyro_names"), _columns(db, "pyro_metadata")
        if names or metadata:
            now = {"id", "name", "uri"} <= names and {"object", "metadata"} <= metadata
            if now or ({"name", "uri"} <= names and not metadata):
                return
            why = "its tables pyro_names and pyro_metadata are not those of a name server"
        elif self._alone and (others := db.execute(_FOREIGN_TABLES).fetchall()):
            why = f"it belongs to another program (its tables: {', '.join(row[0] for row in others)})"
        else:
            return
        raise failure("cannot open", self._path, why, "give another file")

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Settings of the connection, and the schema: as it is, created, or brought up to date."""
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = FULL")
        self._refuse_foreign(db)
        with suppress(sqlite3.OperationalError):
            # Where it is not possible, or another process is just doing the same, the file works in its old mode too.
            db.execute("PRAGMA journal_mode = WAL")
        with _transaction(db):
            names, metadata = _columns(db, "pyro_names"), _columns(db, "pyro_metadata")
            if not names and not metadata:
                _create(db)
            elif not metadata:  # the oldest form
                rows = db.execute("SELECT name, uri FROM pyro_names").fetchall()
                db.execute("DROP TABLE pyro_names")
                _create(db)
                db.executemany("INSERT OR REPLACE INTO pyro_names(name, uri) VALUES (?, ?)", rows)
            db.execute(_INDEX)
            self._has_extras = bool(_columns(db, "pyronym_extras"))
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
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """The connection, in a transaction that is durable in the file of that name when this ends without an error."""
        with self._using("cannot write to") as db:
            self._files.check("cannot write to")
            self._bury_remains(db)
            try:
                with _transaction(db):
                    yield db
            except sqlite3.OperationalError as problem:
                if _code(problem) & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL):
                    self._remains = True
                    with suppress(sqlite3.Error):
                        self._bury_remains(db)
                raise
            self._files.check("cannot write to")

    def _bury_remains(self, db: sqlite3.Connection) -> None:
        """Write over what a failed transaction left in the WAL.

        When its fsync fails, all of it is there nevertheless, and whoever recovers the WAL after a crash would take it
        for one that was made. SQLite begins the next one in the same place; but one that changes nothing writes
        nothing.
        """
        if self._remains:
            with _transaction(db):
                version = db.execute("PRAGMA user_version").fetchone()[0]
                db.execute(f"PRAGMA user_version = {(version + 1) % 2**31}")  # which nobody else uses
            self._remains = False

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Turn the errors of SQLite into StorageErrors."""
        try:
            yield
        except UnicodeEncodeError as problem:
            raise broken_text(self._path, problem) from problem
        except (sqlite3.DataError, sqlite3.IntegrityError, OverflowError) as problem:
            raise refusal(self._path, problem, "correct the name, URI or metadata") from problem
        except UnicodeDecodeError as problem:
            why = f"the database is damaged ({problem})"
            raise failure(what, self._path, why, _ANSWERS[sqlite3.SQLITE_CORRUPT][1]) from problem
        except sqlite3.Error as problem:
            raise self._failure(what, problem) from problem

    def _failure(self, what: str, problem: sqlite3.Error) -> StorageError:
        code = _code(problem)
        answer = _ANSWERS.get(code) or _ANSWERS.get(code & 0xFF)
        if answer:
            why, advice = answer
            if self._remains:
                advice += "; until it works again, a crash may bring back the change that failed"
            return failure(what, self._path, why, advice)
        if "UTF-8" in str(problem):  # Python's sqlite3 has no class and no code for it
            why = "the database is damaged: there is a text in it that is not UTF-8"
            return failure(what, self._path, why, _ANSWERS[sqlite3.SQLITE_CORRUPT][1])
        folder = os.path.dirname(self._path) or "."
        if not os.path.isdir(folder):
            return failure(what, self._path, f"the folder {folder} does not exist", "create it first")
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            return failure(what, self._path, "it is on a read-only file system", "allow writing, or give another file")
        return failure(what, self._path, problem, "check the file, its folder and their permissions")


def _code(problem: sqlite3.Error) -> int:
    """SQLite's extended result code."""
    return getattr(problem, "sqlite_errorcode", sqlite3.SQLITE_ERROR)


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


def _execute_in_bulk(db: sqlite3.Connection, statement: str, width: int, values: Sequence[str | None]) -> None:
    """Execute a statement with rows of so many values, in as few steps as there are.

    Each step gives the interpreter away and has to get it back from the thread that serves the network; `executemany`
    takes a step for each row.
    """
    rows, start = _MAX_ROWS, 0
    while start < len(values):
        while start + rows * width > len(values):
            rows >>= 1  # powers of two, so that the prepared statements are few enough to be remembered
        end = start + rows * width
        db.execute(_for_rows(statement, width, rows), values[start:end])
        start = end


@cache
def _for_rows(statement: str, width: int, rows: int) -> str:
    row = f"({','.join('?' * width)})"
    return statement.format(",".join([row] * rows))


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
