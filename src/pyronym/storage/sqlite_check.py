"""Whether a SQLite file is whole, found out without writing to it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from typing import TypeVar
from urllib.parse import quote

T = TypeVar("T")

_SHORTEST = 512
"""Bytes: the smallest page."""
_SMALL = 32 * 1024 * 1024
"""Bytes. Up to this size, 170,000 names with their tags, even a complete check takes less than a second."""


def damage_at_start(path: str) -> str | None:
    """What SQLite finds wrong with a database that is there; None if nothing. Raises sqlite3.Error where the file
    cannot be read.

    SQLite itself looks only at what it needs. A damaged page then passes for one with fewer rows, a lost first page
    for a new database; an empty database makes it drop the WAL beside it. Here the structure is checked, in 1.2
    seconds for a million names (188 MB), and in small files the contents too, by comparing tables and indexes, which
    takes four times as long.
    """
    wal = os.path.realpath(path) + "-wal"
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        if os.path.exists(wal) and os.path.getsize(wal) > 0:
            return f"the database is missing or empty, but there are changes to it in {wal}"
        return None
    if os.path.getsize(path) < _SHORTEST:  # SQLite takes it for an empty one, and writes over it
        return "it is shorter than any database"
    check = "integrity_check(1)" if os.path.getsize(path) <= _SMALL else "quick_check(1)"
    return next(iter(_problems(path, check)), None)


def all_damage(path: str) -> list[str]:
    """All that is wrong with a database of names: its structure, its tables and its texts. Raises sqlite3.Error where
    it cannot be read."""
    short = damage_at_start(path) if not os.path.exists(path) or os.path.getsize(path) < _SHORTEST else None
    if short:
        return [short]
    return _problems(path, "integrity_check") + read(path, _wrong_contents)


def read(path: str, function: Callable[[sqlite3.Connection], T]) -> T:
    """What `function` makes of a connection to a database that leaves no trace: it neither changes the file nor, on
    closing it, moves the WAL into it. It may be called twice. Raises sqlite3.Error.
    """
    wal = os.path.realpath(path) + "-wal"
    if not os.path.exists(wal) and _needs_wal(path):
        # Nobody is using it, and SQLite would leave an empty WAL behind unless it is told that nobody will.
        before = _state(path)
        error = None
        try:
            result = _with_connection(path, "mode=ro&immutable=1", function)
        except sqlite3.Error as problem:
            error = problem
        if not os.path.exists(wal) and _state(path) == before:
            if error is not None:
                raise error
            return result
    return _with_connection(path, "mode=ro", function)


def _wrong_contents(db: sqlite3.Connection) -> list[str]:
    """What is wrong with the tables as those of a name server."""
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "pyro_names" not in tables:
        return ["it has no table pyro_names, so it is none of a name server"]
    problems = []
    db.text_factory = bytes
    texts = {"pyro_names": "name, uri", "pyro_metadata": "metadata", "pyronym_extras": "name, uri, owner, lease"}
    for table, columns in texts.items():
        if table in tables:
            rows = db.execute(f"SELECT rowid, {columns} FROM {table}")  # noqa: S608  # our own texts
            problems += [f"row {row[0]} of {table} is not text in UTF-8" for row in rows if not _is_text(row[1:])]
    if "pyro_metadata" in tables:
        orphans = "SELECT count(*) FROM pyro_metadata WHERE object NOT IN (SELECT id FROM pyro_names)"
        if number := db.execute(orphans).fetchone()[0]:
            problems.append(f"{number} tags belong to no name")
    return problems


def _is_text(values: tuple[object, ...]) -> bool:
    try:
        return all(value is None or (isinstance(value, bytes) and value.decode() is not None) for value in values)
    except UnicodeDecodeError:
        return False


def _problems(path: str, pragma: str) -> list[str]:
    def found(db: sqlite3.Connection) -> list[str]:
        db.text_factory = lambda text: text.decode(errors="replace")  # what is said of a damaged schema quotes it
        return [row[0] for row in db.execute(f"PRAGMA {pragma}")]

    return [" ".join(problem.split()) for problem in read(path, found) if problem != "ok"]


def _with_connection(path: str, mode: str, function: Callable[[sqlite3.Connection], T]) -> T:
    uri = f"file:{quote(os.path.abspath(path))}?{mode}"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db:
        return function(db)


def _needs_wal(path: str) -> bool:
    """Whether the head of a database says that it has a WAL while it is in use."""
    with suppress(OSError), open(path, "rb") as file:  # SQLite says it better
        return file.read(20)[18:20] == b"\2\2"
    return False


def _state(path: str) -> tuple[int, int, int]:
    status = os.stat(path)
    return status.st_ino, status.st_size, status.st_mtime_ns
