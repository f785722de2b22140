"""Whether a SQLite file is whole, found out without writing to it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from urllib.parse import quote

_SHORTEST = 512
"""Bytes: the smallest page."""
_SMALL = 32 * 1024 * 1024
"""Bytes. Up to this size, 170,000 names with their tags, even a complete check takes less than a second."""


def damage_at_start(path: str) -> str | None:
    """What SQLite finds wrong with a database that is there; None if nothing. Raises sqlite3.Error where the file cannot
    be read.

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
    """All that is wrong with a database of names: its structure, its tables and its texts. Raises sqlite3.Error where it
    cannot be read."""
    short = damage_at_start(path) if not os.path.exists(path) or os.path.getsize(path) < _SHORTEST else None
    if short:
        return [short]
    problems = _problems(path, "integrity_check")
    with closing(read_only(path)) as db:
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "pyro_names" not in tables:
            return [*problems, "it has no table pyro_names, so it is none of a name server"]
        db.text_factory = bytes
        texts = {"pyro_names": "name", "pyro_metadata": "metadata"}
        for table in sorted(texts.keys() & tables):
            rows = db.execute(f"SELECT rowid, {texts[table]}{', uri' if table == 'pyro_names' else ''} FROM {table}")
            problems += [f"row {row[0]} of {table} is not text in UTF-8" for row in rows if not _is_text(row[1:])]
        if "pyro_metadata" in tables:
            orphans = "SELECT count(*) FROM pyro_metadata WHERE object NOT IN (SELECT id FROM pyro_names)"
            if number := db.execute(orphans).fetchone()[0]:
                problems.append(f"{number} tags belong to no name")
    return problems


def read_only(path: str) -> sqlite3.Connection:
    """A connection that can change neither the database nor, on closing it, move the WAL into it."""
    return sqlite3.connect(f"file:{quote(os.path.abspath(path))}?mode=ro", uri=True, isolation_level=None)


def _is_text(values: tuple[object, ...]) -> bool:
    try:
        return all(isinstance(value, bytes) and value.decode() is not None for value in values)
    except UnicodeDecodeError:
        return False


def _problems(path: str, pragma: str) -> list[str]:
    with closing(read_only(path)) as db:
        db.text_factory = lambda text: text.decode(errors="replace")  # what is said of a damaged schema quotes it
        found = [row[0] for row in db.execute(f"PRAGMA {pragma}")]
    return [" ".join(problem.split()) for problem in found if problem != "ok"]
