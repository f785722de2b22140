"""The files of a dbm and of the tags beside it: read, written afresh, and put in the place of the old ones."""

from __future__ import annotations

import dbm
import os
import re
import shutil
from collections.abc import Iterable
from contextlib import closing
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pyronym.directory.record import Change, Record
from pyronym.errors import StorageError
from pyronym.storage.base import failure
from pyronym.storage.extras import has_extras
from pyronym.storage.journal import encode_line, read_changes, sync_file, sync_folder

_SAVE = "restore it from a backup, or save what can be read in it with: pyronym salvage dbm:FILE NEWFILE"
_DUMB_PLACE = re.compile(rb"\((\d+), (\d+)\)\s*$", re.MULTILINE)


class DbmFiles:
    """The dbm at `path`, in any of the forms that it may have.

    Methods raise OSError and the errors of the dbm modules where a file cannot be used, StorageError where it is
    damaged or this Python has no such dbm.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._folder, self._name = os.path.split(path)

    def kind(self) -> str | None:
        """The module that the dbm file belongs to; None when there is no file."""
        kind = dbm.whichdb(self._path)
        if kind:
            return kind
        # Nothing that has contents may be taken for a missing file and be written over.
        for path in (self._path, self._path + ".dat", self._path + ".dir", self._path + ".db"):
            if os.path.exists(path) and (kind == "" or os.path.getsize(path)):
                why = f"{path} is not a dbm file, or it is damaged or cannot be read"
                raise failure("cannot open", self._path, why, "give another file; if it was one, " + _SAVE)
        return None

    def read(self) -> dict[str, Record]:
        """The records in it, by name."""
        kind = self.kind()
        if kind is None:
            return {}
        if kind == "dbm.dumb" and _is_cut_short(self._path):
            why = f"the {kind} file is damaged: {self._path}.dat is shorter than it was"
            raise failure("cannot read", self._path, why, _SAVE)
        tagged = {change.name: change.record for change in self._read_tags()}
        records = {}
        try:
            with closing(_module(kind).open(self._path, "r")) as db:
                for key in db.keys():  # noqa: SIM118  # not every dbm can be iterated
                    record = Record(key.decode(), db[key].decode())
                    known = tagged.get(record.name)
                    records[record.name] = known if known and known.uri == record.uri else record
        except (SyntaxError, ValueError, TypeError) as problem:  # what reading a broken dbm.dumb ends in
            why = f"the {kind} file is damaged ({problem})"
            raise failure("cannot read", self._path, why, _SAVE) from problem
        return records

    def _read_tags(self) -> list[Change]:
        path = self._path + ".tags"
        try:
            with open(path, "rb") as file:
                return read_changes(path, file.read())
        except FileNotFoundError:
            return []

    def write(self, records: Iterable[Record]) -> None:
        """Complete new files, which do not count yet."""
        writing = self._path + ".writing"
        shutil.rmtree(writing, ignore_errors=True)
        os.mkdir(writing, 0o700)
        base = os.path.join(writing, self._name)
        self._write_dbm(base, records)
        mode = self._mode()
        for entry in os.scandir(writing):
            os.chmod(entry.path, mode)
            sync_file(entry.path)
        sync_folder(writing)

    def exchange(self) -> None:
        """Let the new files count, and put them in place."""
        os.rename(self._path + ".writing", self._path + ".new")
        sync_folder(self._folder)
        self.put_in_place()

    def put_in_place(self) -> None:
        """Move completed new files to their places, if there are any."""
        ready = self._path + ".new"
        try:
            names = sorted(os.listdir(ready))
        except FileNotFoundError:
            return
        for name in names:
            os.replace(os.path.join(ready, name), os.path.join(self._folder, name))
        # Both, so that no power failure brings back an old FILE.new with files in it.
        sync_folder(self._folder)
        sync_folder(ready)
        os.rmdir(ready)
        tags = self._path + ".tags"
        if os.path.exists(tags) and os.path.getsize(tags) == 0:
            os.unlink(tags)

    def _write_dbm(self, path: str, records: Iterable[Record]) -> None:
        # A new file is not simply of the kind that this Python makes: dbm.ndbm loses the empty name and, in some
        # versions, long ones, and dbm.sqlite3 cannot be opened by Pythons before 3.13.
        kind = self.kind() or ("dbm.gnu" if find_spec("_gdbm") else "dbm.dumb")
        number = 0
        with closing(_module(kind).open(path, "n", 0o600)) as db, open(path + ".tags", "wb") as tags:
            for record in records:
                number += 1
                db[record.name.encode()] = record.uri.encode()
                if record.metadata or has_extras(record):
                    tags.write(encode_line([Change(record.name, record)]))
            if len(db) != number:
                why = f"a {kind} file cannot hold every name, such as the empty one or long ones"
                raise failure("cannot write", self._path, why, "remove such names, or use another storage")

    def _mode(self) -> int:
        """The permissions of the dbm file; those that stock Pyro4 gives when there is none."""
        for path in (self._path, self._path + ".dat", self._path + ".db"):
            if os.path.exists(path):
                return os.stat(path).st_mode & 0o777
        return 0o600


def _is_cut_short(path: str) -> bool:
    """Whether a dbm.dumb lacks values that its directory speaks of; it would give a part of them, or empty ones."""
    with open(path + ".dir", "rb") as file:
        ends = (int(at) + int(size) for at, size in _DUMB_PLACE.findall(file.read()))
        return max(ends, default=0) > os.path.getsize(path + ".dat")


def _module(kind: str) -> Any:  # the modules of the dbm package have no common type
    try:
        return import_module(kind)
    except ImportError as problem:
        raise StorageError(f"cannot open a {kind} file: this Python has no {kind}; install it") from problem
