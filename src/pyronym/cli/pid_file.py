"""A file that tells others the process id of the server."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def refuse_living(path: str) -> None:
    """OSError if the process is alive whose id is in the file. Who is killed leaves his file behind."""
    number = _read(path)
    if number is not None and number != os.getpid() and _is_alive(number):
        raise FileExistsError(
            errno.EEXIST,
            f"{path}: process {number} is running (end it, or remove the file if that is not a name server of yours)",
        )


@contextmanager
def pid_file(path: str) -> Iterator[None]:
    """Have our process id in the file within. Raises OSError when it cannot be written."""
    with open(path, "w", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    try:
        yield
    finally:
        if _read(path) == os.getpid():
            with suppress(OSError):  # who is no longer root may write to it, but not to its folder
                os.unlink(path)


def _read(path: str) -> int | None:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            number = int(file.read(20))
    except (FileNotFoundError, ValueError):
        return None
    return number if number > 0 else None


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # of another user
    return True
