"""Whether files that are in use are still those that their names lead to.

Who deletes or replaces a file that a program has open takes nothing away from the program: it writes on, to something
that nobody will ever find again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from pyronym.storage.base import failure


class FilesInPlace:
    """What these paths lead to at this moment, each a file or nothing, to be compared with later. Raises OSError."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._files = {path: _identity(path) for path in paths}

    def check(self, what: str) -> None:
        """Raises StorageError, which says `what` cannot be done, when a path leads to something else now."""
        for path, identity in self._files.items():
            try:
                now = _identity(path)
            except OSError as problem:
                raise failure(what, path, problem, "check the disk and the permissions of the folder") from problem
            if now != identity:
                why = "it was deleted" if now is None else "another file was put in its place"
                advice = (
                    "put the file back that was there, or restart the server to go on with what is there now "
                    "(first save the names that it has in memory: pyronym nsc list)"
                )
                raise failure(what, path, f"{why} while it was in use", advice)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino
