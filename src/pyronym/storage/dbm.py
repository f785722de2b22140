"""Records in a dbm file that a stock Pyro4 can open, and that a stock Pyro4 may have written.

Stock Pyro4 keeps only names and URIs in it, as UTF-8, and so does this storage: whatever kind of dbm the file is, it
stays one that holds exactly that, in an order of its own. Two files beside it hold the rest:

``FILE.journal``
    changes that are not in the dbm yet. A commit is one line in it, see `pyronym.storage.journal`.
``FILE.tags``
    the records that have metadata, an owner or a lease, in the form of a journal. These count only as long as the dbm
    has the same URI for the name: when a stock Pyro4 removed the name or gave it another URI, they belong to something
    that is gone.

Now and then, and on closing, all is written afresh. A dbm may be several files, and no two files can be replaced in one
step, so they are first completed in the folder ``FILE.writing``, which is then renamed to ``FILE.new``. From this
moment the new files count: whoever finds ``FILE.new`` moves the files in it to their places, and can do so again
after an interruption anywhere. The journal is emptied last; its changes may be made twice without harm. A crash at
any moment thus leaves either the old files and a journal, or the new files. Only another program that opens
the dbm after a crash, before this storage does, may find old and new files together, or a journal's length behind.
"""

from __future__ import annotations

import dbm
import errno
import logging
import os
import re
import shutil
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pyronym.directory.record import Change, Record
from pyronym.errors import StorageError
from pyronym.storage.base import broken_text, failure
from pyronym.storage.extras import has_extras
from pyronym.storage.in_place import FilesInPlace
from pyronym.storage.journal import Journal, encode_line, read_changes, sync_file, sync_folder

_log = logging.getLogger(__name__)

_ANSWERS = {  # error number: why, and what to do
    errno.EISDIR: ("it is a folder", "give a file"),
    errno.EAGAIN: ("it is in use by another process", "end that process, or give another file"),
    errno.EACCES: ("permission denied", "allow reading and writing the file and its folder"),
    errno.EPERM: ("permission denied", "allow reading and writing the file and its folder"),
    errno.EROFS: ("it is on a read-only file system", "allow writing, or give another file"),
    errno.ENOSPC: ("the disk is full", "make room on it"),
    errno.EFBIG: ("the limit of file size is reached", "raise the limit (ulimit -f)"),
    errno.EIO: ("the disk failed", "check the disk and the system's log"),
    errno.EDQUOT: ("the disk quota is used up", "make room on the disk"),
}

_SAVE = "restore it from a backup, or save what can be read in it with: pyronym salvage dbm:FILE NEWFILE"
_DUMB_PLACE = re.compile(rb"\((\d+), (\d+)\)\s*$", re.MULTILINE)
_MIN_JOURNAL = 1000
"""Changes. The dbm is not written afresh for fewer, nor for fewer than there are names."""


class DbmStore:
    """Records in the dbm file at `path`, which is created when it does not exist.

    One process at a time can have it open. `busy_timeout`: seconds to wait for another one to close it. Raises
    ValueError when the path is empty, StorageError when the file cannot be used.
    """

    immediate = False

    def __init__(self, path: str | os.PathLike[str], *, busy_timeout: float = 2.0) -> None:
        self._path = os.fspath(path)
        self.description = f"dbm:{self._path}"
        if not self._path:
            raise ValueError("the name of the dbm file is empty; give a file name")
        self._folder, self._name = os.path.split(self._path)
        self._lock = threading.Lock()
        self._journal: Journal | None = None
        self._journal_limit = _MIN_JOURNAL
        with self._errors("cannot open"):
            if os.path.isdir(self._path):
                raise IsADirectoryError(errno.EISDIR, "is a folder")
            journal = Journal(self._path + ".journal", timeout=busy_timeout)
        try:
            with self._errors("cannot open"):
                self._put_in_place()
                self._kind()
                self._files = self._files_in_place()
        except BaseException:
            journal.close()
            raise
        self._journal = journal

    def load(self) -> list[Record]:
        """All records."""
        with self._using("cannot read") as journal:
            records = self._read(journal)
            self._journal_limit = max(_MIN_JOURNAL, len(records))
        return list(records.values())

    def get(self, name: str) -> Record | None:
        """The record of one name. Reads all of them: a dbm's own index knows neither journal nor tags."""
        with self._using("cannot read") as journal:
            return self._read(journal).get(name)

    def count(self) -> int:
        """How many names there are."""
        with self._using("cannot read") as journal:
            return len(self._read(journal))

    def commit(self, changes: Sequence[Change]) -> None:
        """Append the changes to the journal. Writes the dbm afresh when the journal has grown large."""
        with self._using("cannot write to") as journal:
            self._files.check("cannot write to")
            journal.append(changes)
            self._files.check("cannot write to")
            if journal.size <= self._journal_limit:
                return
            try:
                self._rewrite(journal)
            except Exception as problem:  # whatever it is: the changes are durable in the journal, so they are made
                self._journal_limit = journal.size + self._journal_limit
                _log.warning("cannot write %s afresh, its journal grows on: %s", self._path, problem)

    def close(self) -> None:
        """Write the dbm afresh if there are changes, and close it. When that fails, StorageError is raised, and the
        changes stay in the journal, from where the next one to open the file takes them."""
        with self._lock:
            journal, self._journal = self._journal, None
            if journal is None:
                return
            with self._errors("cannot write"), closing(journal):
                self._files.check("cannot write")
                if journal.size or self._kind() is None:
                    self._rewrite(journal)

    def _kind(self) -> str | None:
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

    def _read(self, journal: Journal) -> dict[str, Record]:
        """The records as they are with all that the journal says."""
        self._put_in_place()
        records = self._read_dbm()
        for change in journal.read():
            if change.record is None:
                records.pop(change.name, None)
            else:
                records[change.name] = change.record
        return records

    def _read_dbm(self) -> dict[str, Record]:
        kind = self._kind()
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

    def _rewrite(self, journal: Journal) -> None:
        """Write the dbm and the tags afresh, and empty the journal."""
        records = self._read(journal).values()
        writing = self._path + ".writing"
        shutil.rmtree(writing, ignore_errors=True)
        os.mkdir(writing, 0o700)
        base = os.path.join(writing, self._name)
        self._write_dbm(base, records)
        with open(base + ".tags", "wb") as file:
            file.writelines(
                encode_line([Change(record.name, record)])
                for record in records
                if record.metadata or has_extras(record)
            )
        mode = self._mode()
        for entry in os.scandir(writing):
            os.chmod(entry.path, mode)
            sync_file(entry.path)
        sync_folder(writing)
        os.rename(writing, self._path + ".new")
        sync_folder(self._folder)
        self._put_in_place()
        journal.clear()
        self._journal_limit = max(_MIN_JOURNAL, len(records))

    def _write_dbm(self, path: str, records: Collection[Record]) -> None:
        # A new file is not simply of the kind that this Python makes: dbm.ndbm loses the empty name and, in some
        # versions, long ones, and dbm.sqlite3 cannot be opened by Pythons before 3.13.
        kind = self._kind() or ("dbm.gnu" if find_spec("_gdbm") else "dbm.dumb")
        with closing(_module(kind).open(path, "n", 0o600)) as db:
            for record in records:
                db[record.name.encode()] = record.uri.encode()
            if len(db.keys()) != len(records):
                why = f"a {kind} file cannot hold every name, such as the empty one or long ones"
                raise failure("cannot write", self._path, why, "remove such names, or use another storage")

    def _mode(self) -> int:
        """The permissions of the dbm file; those that stock Pyro4 gives when there is none."""
        for path in (self._path, self._path + ".dat", self._path + ".db"):
            if os.path.exists(path):
                return os.stat(path).st_mode & 0o777
        return 0o600

    def _put_in_place(self) -> None:
        """Move completed new files to their places, if there are any."""
        ready = self._path + ".new"
        try:
            names = sorted(os.listdir(ready))
        except FileNotFoundError:
            return
        try:
            for name in names:
                os.replace(os.path.join(ready, name), os.path.join(self._folder, name))
        finally:
            self._files = self._files_in_place()
        # Both, so that no power failure brings back an old FILE.new with files in it.
        sync_folder(self._folder)
        sync_folder(ready)
        os.rmdir(ready)
        tags = self._path + ".tags"
        if os.path.exists(tags) and os.path.getsize(tags) == 0:
            os.unlink(tags)
            self._files = self._files_in_place()

    def _files_in_place(self) -> FilesInPlace:
        return FilesInPlace(self._path + ending for ending in ("", ".dat", ".db", ".tags", ".journal"))

    @contextmanager
    def _using(self, what: str) -> Iterator[Journal]:
        """The journal, for one thread at a time."""
        with self._lock:
            if self._journal is None:
                raise failure(what, self._path, "the storage is closed", "open it again")
            with self._errors(what):
                yield self._journal

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Turn the errors of files into StorageErrors."""
        try:
            yield
        except UnicodeEncodeError as problem:
            raise broken_text(self._path, problem) from problem
        except (OSError, *dbm.error) as problem:
            raise self._failure(what, problem) from problem

    def _failure(self, what: str, problem: Exception) -> StorageError:
        code = getattr(problem, "errno", None)
        folder = self._folder or "."
        if code == errno.ENOENT and not os.path.isdir(folder):
            return failure(what, self._path, f"the folder {folder} does not exist", "create it first")
        if code in _ANSWERS:
            return failure(what, self._path, *_ANSWERS[code])
        return failure(what, self._path, problem, "check the file, its folder and their permissions")


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
