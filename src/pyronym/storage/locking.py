"""Files that one process at a time may have open. Other programs do not notice the lock."""

from __future__ import annotations

import fcntl
import io
import os
import time


def open_locked(path: str, timeout: float) -> io.FileIO:
    """Open a file for reading and appending, created when it does not exist, and locked while it is open.

    Waits `timeout` seconds for the lock at most; then BlockingIOError is raised. Who has the lock may remove the file.
    """
    deadline = time.monotonic() + timeout
    while True:
        file = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its owner may have removed the file between our open and our lock. Then another one counts.
            if is_at(file, path):
                return file
        except BlockingIOError:
            if time.monotonic() >= deadline:
                file.close()
                raise
        except BaseException:
            file.close()
            raise
        file.close()
        time.sleep(0.002)


def is_at(file: io.FileIO, path: str) -> bool:
    """Whether a path leads to this open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
