r"""A file of changes, one line for each commit::

    <crc32 of the rest, 8 hex digits> <JSON list of changes>\n

A change is ``[name]`` for a delete and ``[name, uri, [tag, ...]]`` for a put, with owner and lease (each a text or
null, see `pyronym.storage.extras`) as two more items if the record has any. A line that is broken at the very end
was being written when the power failed: nobody was told that it is durable, and it is ignored. A broken line anywhere
else is damage.
"""

from __future__ import annotations

import io
import json
import logging
import os
import zlib
from collections.abc import Iterable
from contextlib import suppress

from pyronym.directory.record import Change, Record
from pyronym.storage.base import failure
from pyronym.storage.extras import NO_EXTRAS, extras_of, has_extras, with_extras
from pyronym.storage.locking import is_at, open_locked

_log = logging.getLogger(__name__)

_COPIED_AT_ONCE = 1 << 20
"""Bytes."""


class Journal:
    """The journal at `path`, created when it does not exist, and locked against other processes while it is open.

    `timeout`: seconds to wait for the lock; then BlockingIOError is raised. Other operations raise OSError when
    the file cannot be read or written, StorageError when it is damaged. Not thread-safe.
    """

    def __init__(self, path: str, *, timeout: float) -> None:
        self.path = path
        self._file = open_locked(path, timeout)
        self.size = 0
        """How many changes are in the journal."""
        self.end = 0
        """Where the last whole line ends, in bytes."""
        self._named = False  # whether the file certainly has its name after a power cut; it may be new
        try:
            data = self._file.readall()
            self.end = _whole_lines(data)
            if self.end < len(data):
                _log.warning("%s: ignored a line at its end that was never completely written", path)
            self.size = len(read_changes(path, data[: self.end]))
        except BaseException:
            self._file.close()
            raise

    def read(self) -> list[Change]:
        """All changes, the oldest first."""
        self._file.seek(0)
        return read_changes(self.path, self._file.readall()[: self.end])

    def append(self, changes: Iterable[Change]) -> None:
        """Add one line; it is durable when this returns. Raises UnicodeEncodeError for text that has no UTF-8 form."""
        changes = list(changes)
        line = encode_line(changes)
        try:
            self._file.truncate(self.end)  # what an append that failed may have left
            _write_all(self._file, line)
            os.fsync(self._file.fileno())
            if not self._named:
                sync_folder(os.path.dirname(self.path))
                self._named = True
        except OSError:
            with suppress(OSError):  # so that it does not come back after a crash; the next append does the same
                self._file.truncate(self.end)
                os.fsync(self._file.fileno())
            raise
        self.end += len(line)
        self.size += len(changes)

    def data(self, start: int, end: int) -> bytes:
        """Bytes of whole lines, from any thread; or fewer, but not none."""
        return os.pread(self._file.fileno(), end - start, start)

    def drop(self, tail: Tail) -> None:
        """Go on in `tail`, and so without the changes that were there when it began."""
        file = tail.take_the_place_of(self.path)
        self._file.close()
        self._file, self.end = file, tail.size
        self.size -= tail.left_out
        self._named = False

    def close(self) -> None:
        """Unlock and close the file, and remove it if there are no changes in it."""
        if self._file.closed:
            return
        if self.size == 0 and is_at(self._file, self.path):
            os.unlink(self.path)  # before the lock is gone: after that it may be someone else's
        self._file.close()


class Tail:
    """What is appended to a journal from now on, in a file beside it that can take its place with `Journal.drop`.

    A journal has one at a time. Operations raise OSError when the file cannot be written.
    """

    def __init__(self, journal: Journal) -> None:
        self._path = journal.path + ".next"
        self.left_out = journal.size
        """How many changes were in the journal before."""
        self.size = 0
        """Bytes in the file."""
        self.journal = journal
        self._copied = journal.end
        self._file: io.FileIO | None = None

    def catch_up(self) -> io.FileIO:
        """Copy what was appended since the last time, and make it durable. The journal may grow meanwhile. The file."""
        if self._file is None:
            self._file = open_locked(self._path, timeout=0)
            self._file.truncate(0)  # what a crash may have left
        end = self.journal.end
        while self._copied < end:
            data = self.journal.data(self._copied, min(end, self._copied + _COPIED_AT_ONCE))
            _write_all(self._file, data)
            self._copied += len(data)
            self.size += len(data)
        os.fsync(self._file.fileno())
        return self._file

    def take_the_place_of(self, path: str) -> io.FileIO:
        """Have everything, and be at this path from now on. The file, which belongs to the caller then."""
        file = self.catch_up()
        os.replace(self._path, path)
        self._file = None
        return file

    def close(self) -> None:
        """Remove the file, unless it is the journal's now."""
        if self._file is not None:
            with suppress(OSError):
                os.unlink(self._path)
            self._file.close()


def encode_line(changes: Iterable[Change]) -> bytes:
    """One line of a journal. Raises UnicodeEncodeError for text that has no UTF-8 form."""
    items = list(map(_item, changes))
    text = json.dumps(items, ensure_ascii=False, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _item(change: Change) -> list[object]:
    record = change.record
    if record is None:
        return [change.name]
    extras = extras_of(record) if has_extras(record) else ()
    return [change.name, record.uri, sorted(record.metadata), *extras]


def decode_line(line: bytes) -> list[Change]:
    """The changes in one line without its line end. Raises ValueError when the line is broken."""
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        raise ValueError("the checksum is wrong")
    changes = []
    for name, *put in json.loads(text):
        record = with_extras(Record(name, put[0], frozenset(put[1])), *(put[2:4] or NO_EXTRAS)) if put else None
        changes.append(Change(name, record))
    return changes


def read_changes(path: str, data: bytes) -> list[Change]:
    """All changes in the lines of `data`. Raises StorageError, which names `path`, when a line is broken."""
    changes = []
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            changes += decode_line(line)
        except ValueError as problem:
            advice = "restore it from a backup, or save what can be read with: pyronym salvage dbm:FILE NEWFILE"
            raise failure("cannot read", path, f"line {number} is damaged ({problem})", advice) from problem
    return changes


def sync_file(path: str) -> None:
    """Make the contents of a file durable."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def sync_folder(path: str) -> None:
    """Make the names of the files in a folder durable. The empty path is the current folder."""
    descriptor = os.open(path or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _whole_lines(data: bytes) -> int:
    """The length of `data` without a last line that is broken."""
    end = data.rfind(b"\n") + 1
    if end < len(data) or not data:
        return end
    start = data.rfind(b"\n", 0, end - 1) + 1
    try:
        decode_line(data[start : end - 1])
    except ValueError:
        return start
    return end


def _write_all(file: io.FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
