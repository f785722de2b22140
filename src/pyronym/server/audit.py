"""The audit log: a file with one line of JSON for each change that a client made, or was refused."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from io import BufferedWriter, FileIO, TextIOWrapper
from logging.handlers import RotatingFileHandler, WatchedFileHandler
from typing import Final

MOST_WAITING: Final = 100_000
"""Lines that wait for the disk. Further ones are lost, and it is said how many: the memory must not fill up."""

KEPT_FILES: Final = 5
"""Full files that are kept beside the one that is written to: FILE.1 to FILE.5."""

log = logging.getLogger(__name__)


class AuditLog:
    """Writes lines to the file at `path`, in the order in which they come, each with the time at which it came.

    A thread writes: whoever has a line never waits. With `max_bytes` the file is renamed to FILE.1 and begun afresh
    before it gets larger. Without, it grows, and when another program (logrotate) has moved it away, the next line
    begins a new one. A file that is made here can be read by its owner only.

    A line that cannot be written is lost, and as soon as one can be again, a line says how many were.

    Raises OSError when the file cannot be written to.
    """

    def __init__(self, path: str, max_bytes: int = 0) -> None:
        self._file = _RotatingFile(path, max_bytes) if max_bytes else _WatchedFile(path)
        self._file.setFormatter(logging.Formatter("%(message)s"))
        self._waiting: list[tuple[datetime, Mapping[str, object]]] = []
        self._lost = 0  # because too many were waiting
        self._missing = 0  # in the file, with no line that says so
        self._works = True
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="pyronym-audit", daemon=True)
        self._thread.start()

    def __call__(self, line: Mapping[str, object]) -> None:
        """Write a line. From any thread; never waits for the disk."""
        now = datetime.now(UTC)
        with self._changed:
            if len(self._waiting) >= MOST_WAITING or self._closed:
                self._lost += 1
                return
            self._waiting.append((now, line))
            self._changed.notify()

    def close(self) -> None:
        """Write what waits, and close the file. What comes later is lost."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        self._file.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                lines, self._waiting = self._waiting, []
                too_many, self._lost = self._lost, 0
            for time, line in lines:
                self._write(time, line)
            if too_many:
                log.error("the audit log has lost %d lines: its disk is too slow", too_many)
                self._missing += too_many
            if self._missing and (self._works or not lines):
                self._write(datetime.now(UTC))
            if not lines:
                return

    def _write(self, time: datetime, *lines: Mapping[str, object]) -> None:
        """Write lines of that time, after one that says how many are missing before them, if any are. If this cannot
        be, they are missing, too. The log tells once when that begins, and once when it is over.
        """
        missing = [{"what": "lost", "lines": self._missing}] if self._missing else []
        # In one piece: the line about the others is short, and might fit where those do not.
        text = "\n".join(
            json.dumps({"time": time.isoformat(timespec="microseconds"), **line}) for line in (*missing, *lines)
        )
        try:
            self._file.handle(logging.makeLogRecord({"msg": text}))
        except OSError as problem:
            if self._works:
                log.error("cannot write to the audit log, its lines are lost until that is over: %s", problem)
            self._works = False
            self._missing += len(lines)
        else:
            if not self._works:
                log.warning("the audit log can be written to again, %d lines were lost", self._missing)
            self._works = True
            self._missing = 0


class _WholeLines(TextIOWrapper):
    """Appends texts to a file, each as a whole or not at all: what a full disk took of one is cut off again. Nothing
    waits in a buffer to fail later, or when it is closed.
    """

    def __init__(self, path: str) -> None:
        # Of a file that is made here, only its owner can read it.
        self._raw = FileIO(path, "a", opener=lambda name, flags: os.open(name, flags, 0o600))
        super().__init__(BufferedWriter(self._raw))

    def write(self, text: str) -> int:
        """Raises OSError."""
        end = self._raw.seek(0, os.SEEK_END)
        rest = memoryview(text.encode())
        try:
            while rest:
                rest = rest[self._raw.write(rest) :]
        except OSError:
            with suppress(OSError):
                self._raw.truncate(end)
            raise
        return len(text)


class _AuditFile(logging.FileHandler):
    def _open(self) -> TextIOWrapper:
        return _WholeLines(self.baseFilename)

    def handleError(self, record: logging.LogRecord) -> None:
        """Raises the exception that is being handled."""
        raise  # `emit` calls this in its handler of exceptions


class _RotatingFile(_AuditFile, RotatingFileHandler):
    def __init__(self, path: str, max_bytes: int) -> None:
        RotatingFileHandler.__init__(self, path, maxBytes=max_bytes, backupCount=KEPT_FILES)


class _WatchedFile(_AuditFile, WatchedFileHandler):
    def __init__(self, path: str) -> None:
        WatchedFileHandler.__init__(self, path)
