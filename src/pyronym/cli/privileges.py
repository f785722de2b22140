"""Giving up the rights of root: a name server needs them only to listen on ports below 1024."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager


class User:
    """The user `name`, in whose name this process shall go on. None: it stays what it is.

    Raises ValueError when there is no such user, or this process may not become him.
    """

    def __init__(self, name: str | None) -> None:
        self._entry: pwd.struct_passwd | None = None
        if name is None:
            return
        try:
            self._entry = pwd.getpwnam(name)
        except KeyError:
            raise ValueError(f"--user: there is no user {name!r} on this machine (expected one of its users)") from None
        if os.geteuid() != 0:
            raise ValueError(f"--user: only root can become {name} (start as root, or as {name} without --user)")
        os.initgroups(name, self._entry.pw_gid)

    @property
    def is_root(self) -> bool:
        """Whether this process keeps the rights of root."""
        return self._entry is None and os.geteuid() == 0

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Act as the user within, so that files are made as his, and those that he may not use are found out now."""
        if self._entry is None:
            yield
            return
        os.setegid(self._entry.pw_gid)
        os.seteuid(self._entry.pw_uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)

    def own(self, path: str) -> None:
        """Make the user the owner of a file that was just made. Raises OSError."""
        if self._entry is not None:
            os.chown(path, self._entry.pw_uid, self._entry.pw_gid)

    def become(self) -> None:
        """Be the user from here on; there is no way back. Raises OSError."""
        if self._entry is None:
            return
        os.setgid(self._entry.pw_gid)
        os.setuid(self._entry.pw_uid)
