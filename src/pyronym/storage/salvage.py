"""What can still be read of damaged files. Nothing here writes to them."""

from __future__ import annotations

import ast
import dbm
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final

from pyronym.directory.record import Change, Record
from pyronym.storage.extras import NO_EXTRAS, Extras, with_extras
from pyronym.storage.journal import decode_line
from pyronym.storage.sqlite_pages import INDEX_INTERIOR, INDEX_LEAF, TABLE_INTERIOR, TABLE_LEAF, Pages, Row, Value

_EXTRAS_TABLE: Final = "pyronym_extras"
_OUR_TABLES: Final = ("pyro_names", "pyro_metadata", _EXTRAS_TABLE)


@dataclass
class Salvaged:
    """What was read, and in words what was not, one line for each kind of loss."""

    records: list[Record]
    losses: list[str] = field(default_factory=list)


def salvage_sqlite(path: str, *, with_wal: bool = True) -> Salvaged:
    """The records of a SQLite file, damaged or not. OSError if it cannot be read at all.

    The tables are read page by page from their roots. When that does not reach everything, the pages that belong to
    nothing are looked through for rows that look like names and tags. The indexes tell which ones are missing.
    """
    pages = Pages(path, with_wal=with_wal)
    found = _Rows()
    pages.reached |= pages.free()
    _read_tables(pages, found)
    stray_pages = [number for number in range(1, pages.count + 1) if number not in pages.reached]
    for number in stray_pages:
        _read_stray_page(pages, number, found)
    records = found.records()
    losses = list(found.losses(records))
    if stray_pages and not pages.has_header:
        losses.append("the first page is damaged, so names that had been removed may be among those")
    return Salvaged(list(records.values()), losses)


class _Rows:
    """Rows of the tables and of their indexes, which tell of more where rows were lost."""

    def __init__(self) -> None:
        self.damaged: set[int] = set()
        """Pages."""
        self._names: dict[int, tuple[str, str]] = {}
        """By the ids of the names, their rowids: name and URI."""
        self._tags: dict[int, tuple[int, str]] = {}
        """By rowid: id of the name, tag."""
        self._extras: dict[tuple[str, str], Extras] = {}
        """By name and URI: owner and lease."""
        self._names_in_index: set[str] = set()
        self._tags_in_index: dict[int, int] = {}
        """By rowid: id of the name."""
        self._extras_in_index: set[str] = set()

    def take(self, rows: Iterable[Row], *, stray: bool = False) -> None:
        """Rows of tables; `stray`: perhaps of others than ours."""
        for rowid, values in rows:
            match values:
                case [None, str(name), str(uri)] | [str(name), str(uri)] if not stray or uri.startswith("PYRO"):
                    self._names.setdefault(rowid, (name, uri))
                case [int(number), str(tag)]:
                    self._tags.setdefault(rowid, (number, tag))
                case [str(name), str(uri), str() | None as owner, str() | None as lease] if not stray or uri.startswith(
                    "PYRO"
                ):
                    self._extras.setdefault((name, uri), (owner, lease))

    def take_index(self, rows: Iterable[Row]) -> None:
        """Rows of the indexes of names and of tags."""
        for _, values in rows:
            match values:
                case [str(name), int()]:
                    self._names_in_index.add(name)
                case [int(number), int(rowid)]:
                    self._tags_in_index[rowid] = number

    def take_index_of_extras(self, rows: Iterable[Row]) -> None:
        """Rows of the index of owners and leases."""
        self._extras_in_index.update(str(values[0]) for _, values in rows if values)

    def records(self) -> dict[str, Record]:
        """What comes of the rows, by name. Owners and leases that cannot be read are forgotten."""
        tags: dict[int, set[str]] = {}
        for number, tag in self._tags.values():
            tags.setdefault(number, set()).add(tag)
        records: dict[str, Record] = {}
        for number, (name, uri) in sorted(self._names.items()):
            record = Record(name, uri, frozenset(tags.get(number, ())))
            try:
                record = with_extras(record, *self._extras.get((name, uri), NO_EXTRAS))
            except ValueError:
                del self._extras[name, uri]
            records.setdefault(name, record)
        return records

    def losses(self, records: Mapping[str, Record]) -> Iterator[str]:
        """What is missing in these records, in words, one line for each kind."""
        if self.damaged:
            yield f"{len(self.damaged)} pages are damaged: {_some(sorted(self.damaged))}"
        if lost := self._names_in_index - records.keys():
            yield f"{len(lost)} names are lost: {_some(sorted(lost))}"
        untagged = [number for rowid, number in self._tags_in_index.items() if rowid not in self._tags]
        if without := {self._names[number][0] for number in untagged if number in self._names}:
            yield f"{len(without)} names have lost tags: {_some(sorted(without))}"
        if without := self._extras_in_index & records.keys() - {name for name, _ in self._extras}:
            yield f"{len(without)} names have lost their owners or leases: {_some(sorted(without))}"


def _read_tables(pages: Pages, found: _Rows) -> None:
    """Our tables and their indexes, from the roots that the schema names."""
    schema = pages.tree(1, TABLE_LEAF, TABLE_INTERIOR)
    found.damaged.update(schema.damaged)
    for _, values in schema.rows:
        kind, table, root = _schema_entry(values)
        if kind == "table":
            tree = pages.tree(root, TABLE_LEAF, TABLE_INTERIOR)
        elif kind == "index":
            tree = pages.tree(root, INDEX_LEAF, INDEX_INTERIOR)
        else:
            continue
        if table not in _OUR_TABLES:  # but its pages belong to something
            continue
        found.damaged.update(tree.damaged)
        if kind == "table":
            found.take(tree.rows)
        elif table == _EXTRAS_TABLE:
            found.take_index_of_extras(tree.rows)
        else:
            found.take_index(tree.rows)


def _read_stray_page(pages: Pages, number: int, found: _Rows) -> None:
    """A page that belongs to nothing."""
    unreadable: list[int] = []
    if pages.type(number) == TABLE_LEAF:
        found.take(pages.rows(number, unreadable), stray=True)
    elif pages.type(number) in (INDEX_LEAF, INDEX_INTERIOR):
        found.take_index(pages.rows(number, unreadable))
    found.damaged.update(unreadable)


def salvage_dbm(path: str) -> Salvaged:
    """The records of a dbm file with its journal and tags, damaged or not. OSError if a part cannot be read."""
    salvaged = Salvaged([])
    completed = os.path.join(path + ".new", os.path.basename(path))  # completed, but not yet in its place
    records: dict[str, Record] = {}
    tagged: dict[str, Record] = {}
    for base in (path, completed):
        tagged |= {change.name: change.record for change in _changes(base + ".tags", salvaged.losses) if change.record}
        for key, uri in _dbm_items(base, salvaged.losses):
            known = tagged.get(key)
            records[key] = known if known and known.uri == uri else Record(key, uri)
    removed = set()
    for change in _changes(path + ".journal", salvaged.losses):
        if change.record is None:
            records.pop(change.name, None)
            removed.add(change.name)
        else:
            records[change.name] = change.record
    if lost := tagged.keys() - records.keys() - removed:
        salvaged.losses.append(
            f"{len(lost)} names with tags, owners or leases are in no dbm file, removed or lost: {_some(sorted(lost))}"
        )
    salvaged.records = list(records.values())
    return salvaged


def _schema_entry(values: list[Value]) -> tuple[str, str, int]:
    match values:
        case [("table" | "index") as kind, str(), str(table), int(root), *_]:
            return kind, table, root
    return "", "", 0


def _changes(path: str, losses: list[str]) -> Iterator[Change]:
    """The changes in all lines that are whole."""
    try:
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return
    broken = []
    for number, line in enumerate(lines, 1):
        try:
            if line:
                yield from decode_line(line)
        except (ValueError, TypeError, IndexError):
            broken.append(number)
    if broken:
        losses.append(f"{path}: {len(broken)} lines are damaged: {_some(broken)}")


def _dbm_items(path: str, losses: list[str]) -> Iterator[tuple[str, str]]:
    """The names and URIs of a dbm file, as far as it can be read."""
    if os.path.exists(path + ".dir") and os.path.exists(path + ".dat"):
        yield from _dumb_items(path, losses)
        return
    kind = dbm.whichdb(path)
    if not kind:
        parts = [part for part in (path, path + ".db", path + ".dat") if os.path.exists(part) and os.path.getsize(part)]
        losses += [f"{part} cannot be read: it is not a dbm file any more" for part in parts]
        return
    try:
        db: Any = import_module(kind).open(path, "r")
    except (ImportError, OSError, *dbm.error) as problem:
        losses.append(f"{path} cannot be read: {problem}")
        return
    unreadable: Counter[str] = Counter()
    with closing(db):
        keys: list[bytes] = []
        try:
            keys = list(db.keys())
        except (OSError, *dbm.error) as problem:
            losses.append(f"{path}: its keys cannot be read: {problem}")
        for key in keys:
            try:
                item = key.decode(), db[key].decode()
            except (OSError, ValueError, KeyError, *dbm.error) as problem:
                unreadable[str(problem)] += 1
            else:
                yield item
    losses += [f"{path}: {count} names are lost: {problem}" for problem, count in unreadable.items()]


def _dumb_items(path: str, losses: list[str]) -> Iterator[tuple[str, str]]:
    """The same for dbm.dumb: a text file of keys and places, and a file with all values."""
    with open(path + ".dat", "rb") as file:
        data = file.read()
    with open(path + ".dir", encoding="latin-1", newline="\n") as directory:
        lines = directory.read().split("\n")
    broken = []
    for number, line in enumerate(lines, 1):
        with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            if not line.strip():
                continue
            key, (at, size) = ast.literal_eval(line.strip())
            if min(at, size) >= 0 and at + size <= len(data):
                yield key.encode("latin-1").decode(), data[at : at + size].decode()
                continue
        if line.strip():
            broken.append(number)
    if broken:
        losses.append(f"{path}: {len(broken)} names are lost: lines {_some(broken)} of {path}.dir are damaged")


def _some(items: list[Any]) -> str:
    shown = ", ".join(str(item) for item in items[:20])
    return shown + (f" and {len(items) - 20} more" if len(items) > 20 else "")
