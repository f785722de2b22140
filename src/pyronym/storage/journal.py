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


class Journal:
    """The journal at `path`, created when it does not exist, and locked against other processes while it is open.

    `timeout`: seconds to wait for the lock; then BlockingIOError is raised. Other operations raise OSError when
    the file cannot be read or written, StorageError when it is damaged. Not thread-safe.
    """

    def __init__(self, path: str, *, timeout: float) -> None:
        self._path = path
        self._file = open_locked(path, timeout)
        self.size = 0
        """How many changes are in the journal."""
        self._end = 0  # of the last whole line, in bytes
        try:
            data = self._file.readall()
            self._end = _whole_lines(data)
            if self._end < len(data):
                _log.warning("%s: ignored a line at its end that was never completely written", path)
            self.size = len(read_changes(path, data[: self._end]))
        except BaseException:
            self._file.close()
            raise

    def read(self) -> list[Change]:
        """All changes, the oldest first."""
        self._file.seek(0)
        return read_changes(self._path, self._file.readall()[: self._end])

    def append(self, changes: Iterable[Change]) -> None:
        """Add one line; it is durable when this returns. Raises UnicodeEncodeError for text that has no UTF-8 form."""
        changes = list(changes)
        line = encode_line(changes)
        try:
            self._file.truncate(self._end)  # what an append that failed may have left
            _write_all(self._file, line)
            os.fsync(self._file.fileno())
            if self._end == 0:
                sync_folder(os.path.dirname(self._path))  # the file may have just been created
        except OSError:
            with suppress(OSError):  # so that it does not come back after a crash; the next append does the same
                self._file.truncate(self._end)
                os.fsync(self._file.fileno())
            raise
        self._end += len(line)
        self.size += len(changes)

    def clear(self) -> None:
        """Drop all changes."""
        self._file.truncate(0)
        self._end = self.size = 0  # also when the next step fails: what is appended must not stand behind a gap
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Unlock and close the file, and remove it if there are no changes in it."""
        if self._file.closed:
            return
        if self.size == 0 and is_at(self._file, self._path):
            os.unlink(self._path)  # before the lock is gone: after that it may be someone else's
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
