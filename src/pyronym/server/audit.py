"""The audit log: a file with one line of JSON for each change that a client made, or was refused."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from io import TextIOWrapper
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

    Raises OSError when the file cannot be written to.
    """

    def __init__(self, path: str, max_bytes: int = 0) -> None:
        self._file = _RotatingFile(path, max_bytes) if max_bytes else _WatchedFile(path)
        self._file.setFormatter(logging.Formatter("%(message)s"))
        self._waiting: list[tuple[datetime, Mapping[str, object]]] = []
        self._lost = 0
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
                lost, self._lost = self._lost, 0
            for time, line in lines:
                self._write(time, line)
            if lost:
                log.error("the audit log has lost %d lines: its disk is too slow", lost)
                self._write(datetime.now(UTC), {"what": "lost", "lines": lost})
            if not lines:
                return

    def _write(self, time: datetime, line: Mapping[str, object]) -> None:
        text = json.dumps({"time": time.isoformat(timespec="microseconds"), **line})
        self._file.handle(logging.makeLogRecord({"msg": text}))


class _AuditFile(logging.FileHandler):
    """A file that only its owner can read. Says in the log when it cannot be written, but not for each line again."""

    _works = True

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding="utf-8", opener=_open_private)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        self._failed = False
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)
        self._works = not self._failed

    def handleError(self, record: logging.LogRecord) -> None:
        """A line could not be written; called where the exception is handled."""
        self._failed = True
        if self._works:
            log.error("cannot write to the audit log; lines are lost until that works again", exc_info=True)


class _RotatingFile(_AuditFile, RotatingFileHandler):
    def __init__(self, path: str, max_bytes: int) -> None:
        RotatingFileHandler.__init__(self, path, maxBytes=max_bytes, backupCount=KEPT_FILES)


class _WatchedFile(_AuditFile, WatchedFileHandler):
    def __init__(self, path: str) -> None:
        WatchedFileHandler.__init__(self, path)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
