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
after an interruption anywhere. The journal loses what is in them last; its changes may be made twice without harm. A
crash at any moment thus leaves either the old files and a journal, or the new files and a journal. Only another program
that opens the dbm after a crash, before this storage does, may find old and new files together, or a journal's length
behind.

Nobody waits while a large dbm is written. A thread writes the records as they were at one moment, while the journal
goes on. What came to the journal after this moment is copied to ``FILE.journal.next``, which in the end is renamed to
``FILE.journal``. Changes wait only for the moving of the files, and for the last bit of the journal to be copied.
"""

from __future__ import annotations

import dbm
import errno
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager

from pyronym.directory.record import Change, Record
from pyronym.errors import StorageError
from pyronym.storage.base import broken_text, failure, refuse_what_is_no_file
from pyronym.storage.dbm_files import DbmFiles
from pyronym.storage.in_place import FilesInPlace
from pyronym.storage.journal import Journal, Tail

_log = logging.getLogger(__name__)

_ANSWERS = {  # error number: why, and what to do
    errno.EAGAIN: ("it is in use by another process", "end that process, or give another file"),
    errno.EACCES: ("permission denied", "allow reading and writing the file and its folder"),
    errno.EPERM: ("permission denied", "allow reading and writing the file and its folder"),
    errno.EROFS: ("it is on a read-only file system", "allow writing, or give another file"),
    errno.ENOSPC: ("the disk is full", "make room on it"),
    errno.EFBIG: ("the limit of file size is reached", "raise the limit (ulimit -f)"),
    errno.EIO: ("the disk failed", "check the disk and the system's log"),
    errno.EDQUOT: ("the disk quota is used up", "make room on the disk"),
}

_MIN_JOURNAL = 1000
"""Changes. The dbm is not written afresh for fewer, nor for fewer than there are names."""

_WORK_SECONDS = 0.001
_PAUSE_SECONDS = 0.001
"""How long the thread that writes a dbm works, and then leaves the interpreter to others."""


class DbmStore:
    """Records in the dbm file at `path`, which is created when it does not exist.

    One process at a time can have it open. All records are in memory once any of them was asked for. `busy_timeout`:
    seconds to wait for another process to close it. Raises ValueError when the path is empty, StorageError when the
    file cannot be used.
    """

    immediate = False

    def __init__(self, path: str | os.PathLike[str], *, busy_timeout: float = 2.0) -> None:
        self._path = os.fspath(path)
        self.description = f"dbm:{self._path}"
        if not self._path:
            raise ValueError("the name of the dbm file is empty; give a file name")
        self._dbm = DbmFiles(self._path)
        self._lock = threading.Lock()
        self._journal: Journal | None = None
        self._journal_limit = _MIN_JOURNAL
        refuse_what_is_no_file(self._path)
        self._records: dict[str, Record] | None = None
        self._writer: threading.Thread | None = None
        self._closing = threading.Event()
        with self._errors("cannot open"):
            journal = Journal(self._path + ".journal", timeout=busy_timeout)
        try:
            with self._errors("cannot open"):
                self._dbm.put_in_place()
                self._dbm.kind()
                self._files = self._files_in_place()
        except BaseException:
            journal.close()
            raise
        self._journal = journal

    def load(self) -> list[Record]:
        """All records."""
        with self._using("cannot read") as journal:
            return list(self._all(journal).values())

    def get(self, name: str) -> Record | None:
        """The record of one name."""
        with self._using("cannot read") as journal:
            return self._all(journal).get(name)

    def count(self) -> int:
        """How many names there are."""
        with self._using("cannot read") as journal:
            return len(self._all(journal))

    def commit(self, changes: Sequence[Change]) -> None:
        """Append the changes to the journal. When that has grown large, a thread begins to write the dbm afresh."""
        with self._using("cannot write to") as journal:
            self._files.check("cannot write to")
            journal.append(changes)
            self._files.check("cannot write to")
            if self._records is not None:
                _make(changes, self._records)
            if journal.size > self._journal_limit and self._writer is None:
                self._begin_to_write_afresh(journal)

    def close(self) -> None:
        """Write the dbm afresh if there are changes, and close it. When that fails, StorageError is raised, and the
        changes stay in the journal, from where the next one to open the file takes them."""
        with self._lock:
            journal, self._journal = self._journal, None
        if journal is None:
            return
        self._closing.set()
        writer = self._writer
        if writer is not None:
            writer.join()
        with self._lock, self._errors("cannot write"), closing(journal):
            self._files.check("cannot write")
            if journal.size or self._dbm.kind() is None:
                records = self._all(journal).values()
                with closing(Tail(journal)) as tail:
                    self._dbm.write(records)
                    self._exchange(journal, tail, len(records))

    def _all(self, journal: Journal) -> dict[str, Record]:
        """The records as they are with all that the journal says."""
        if self._records is None:
            records = self._dbm.read()
            _make(journal.read(), records)
            self._records = records
            self._journal_limit = max(_MIN_JOURNAL, len(records))
        return self._records

    def _begin_to_write_afresh(self, journal: Journal) -> None:
        try:
            records = list(self._all(journal).values())
            writer = threading.Thread(
                target=self._write_beside, args=(records, Tail(journal)), name="pyronym-dbm-writer", daemon=True
            )
            writer.start()
            self._writer = writer
        except Exception as problem:  # whatever it is: the changes are durable in the journal, so they are made
            self._put_off(journal, problem)

    def _write_beside(self, records: list[Record], tail: Tail) -> None:
        """Write the dbm afresh while changes go on: they only have to wait while it is put in place."""
        try:
            with closing(tail):
                self._dbm.write(self._unhurried(records))
                tail.catch_up()  # with most of it, so that little is left to do while others wait
                with self._lock:
                    if self._journal is not None:
                        self._exchange(self._journal, tail, len(records))
        except _ClosingError:
            pass
        except Exception as problem:
            with self._lock:
                self._put_off(tail.journal, problem)
        finally:
            self._writer = None

    def _unhurried(self, records: Sequence[Record]) -> Iterator[Record]:
        """The records, with pauses for the threads that serve the network and commit."""
        pause_at = time.perf_counter() + _WORK_SECONDS
        for record in records:
            if time.perf_counter() > pause_at:
                if self._closing.wait(_PAUSE_SECONDS):
                    raise _ClosingError
                pause_at = time.perf_counter() + _WORK_SECONDS
            yield record

    def _exchange(self, journal: Journal, tail: Tail, count: int) -> None:
        """Put completed new files in place, and drop what is in them from the journal."""
        self._files.check("cannot write")
        try:
            self._dbm.put_in_place()  # those of an earlier time, when that failed half way
            self._dbm.exchange()
            journal.drop(tail)
        finally:
            self._files = self._files_in_place()
        self._journal_limit = max(_MIN_JOURNAL, count)

    def _put_off(self, journal: Journal, problem: Exception) -> None:
        self._journal_limit = journal.size + self._journal_limit
        _log.warning("cannot write %s afresh, its journal grows on: %s", self._path, problem)

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
        folder = os.path.dirname(self._path) or "."
        if code == errno.ENOENT and not os.path.isdir(folder):
            return failure(what, self._path, f"the folder {folder} does not exist", "create it first")
        if code in _ANSWERS:
            return failure(what, self._path, *_ANSWERS[code])
        return failure(what, self._path, problem, "check the file, its folder and their permissions")


class _ClosingError(Exception):
    """The storage is being closed, which writes all afresh anyway."""


def _make(changes: Iterable[Change], records: dict[str, Record]) -> None:
    for name, record in changes:
        if record is None:
            records.pop(name, None)
        else:
            records[name] = record
