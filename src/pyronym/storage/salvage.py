"""What can still be read of damaged files. Nothing here writes to them."""

from __future__ import annotations

import ast
import dbm
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from pyronym.directory.record import Change, Record
from pyronym.storage.extras import NO_EXTRAS, Extras, with_extras
from pyronym.storage.journal import decode_line
from pyronym.storage.sqlite_pages import INDEX_INTERIOR, INDEX_LEAF, TABLE_INTERIOR, TABLE_LEAF, Pages, Row, Value


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
    names: dict[int, tuple[str, str]] = {}
    tags: dict[int, tuple[int, str]] = {}  # rowid: (id of the name, tag)
    names_in_index: set[str] = set()
    tags_in_index: dict[int, int] = {}  # rowid: id of the name
    extras: dict[tuple[str, str], Extras] = {}  # (name, URI): owner and lease
    extras_in_index: set[str] = set()
    damaged: set[int] = set()

    def take(rows: list[Row], *, stray: bool) -> None:
        for rowid, values in rows:
            match values:
                case [None, str(name), str(uri)] | [str(name), str(uri)] if not stray or uri.startswith("PYRO"):
                    names.setdefault(rowid, (name, uri))
                case [int(number), str(tag)]:
                    tags.setdefault(rowid, (number, tag))
                case [str(name), str(uri), str() | None as owner, str() | None as lease] if not stray or uri.startswith(
                    "PYRO"
                ):
                    extras.setdefault((name, uri), (owner, lease))

    def take_index(rows: list[Row]) -> None:
        for _, values in rows:
            match values:
                case [str(name), int()]:
                    names_in_index.add(name)
                case [int(number), int(rowid)]:
                    tags_in_index[rowid] = number

    pages.reached |= pages.free()
    schema = pages.tree(1, TABLE_LEAF, TABLE_INTERIOR)
    damaged.update(schema.damaged)
    for _, values in schema.rows:
        kind, table, root = _schema_entry(values)
        found = pages.tree(root, TABLE_LEAF, TABLE_INTERIOR) if kind == "table" else None
        if kind == "index":
            found = pages.tree(root, INDEX_LEAF, INDEX_INTERIOR)
        if found is not None and table in ("pyro_names", "pyro_metadata"):
            damaged.update(found.damaged)
            take(found.rows, stray=False) if kind == "table" else take_index(found.rows)
        elif found is not None and table == "pyronym_extras":
            damaged.update(found.damaged)
            if kind == "table":
                take(found.rows, stray=False)
            else:
                extras_in_index.update(str(values[0]) for _, values in found.rows if values)
    stray_pages = [number for number in range(1, pages.count + 1) if number not in pages.reached]
    for number in stray_pages:
        unreadable: list[int] = []
        if pages.type(number) == TABLE_LEAF:
            take(list(pages.rows(number, unreadable)), stray=True)
        elif pages.type(number) in (INDEX_LEAF, INDEX_INTERIOR):
            take_index(list(pages.rows(number, unreadable)))
        damaged.update(unreadable)

    by_id: dict[int, set[str]] = {}
    for number, tag in tags.values():
        by_id.setdefault(number, set()).add(tag)
    records: dict[str, Record] = {}
    for number, (name, uri) in sorted(names.items()):
        record = Record(name, uri, frozenset(by_id.get(number, ())))
        try:
            record = with_extras(record, *extras.get((name, uri), NO_EXTRAS))
        except ValueError:
            del extras[name, uri]
        records.setdefault(name, record)
    salvaged = Salvaged(list(records.values()))
    if damaged:
        salvaged.losses.append(f"{len(damaged)} pages are damaged: {_some(sorted(damaged))}")
    if lost := names_in_index - records.keys():
        salvaged.losses.append(f"{len(lost)} names are lost: {_some(sorted(lost))}")
    without = {names[number][0] for rowid, number in tags_in_index.items() if rowid not in tags and number in names}
    if without:
        salvaged.losses.append(f"{len(without)} names have lost tags: {_some(sorted(without))}")
    if without := extras_in_index & records.keys() - {name for name, _ in extras}:
        salvaged.losses.append(f"{len(without)} names have lost their owners or leases: {_some(sorted(without))}")
    if stray_pages and not pages.has_header:
        salvaged.losses.append("the first page is damaged, so names that had been removed may be among those")
    return salvaged


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
