"""What every storage does, and how it says that it cannot."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from pyronym.directory.record import Change, Record
from pyronym.errors import StorageError


@runtime_checkable
class Storage(Protocol):
    """Where records survive. Usable from any thread, one operation at a time."""

    @property
    def description(self) -> str:
        """For people: the kind of storage and where it is, for example ``sql:names.sqlite``."""

    @property
    def immediate(self) -> bool:
        """Whether `commit` never waits for a disk or a network, so that it may run on the caller's thread."""

    def load(self) -> Iterable[Record]:
        """All records, each name once. Raises StorageError."""

    def commit(self, changes: Sequence[Change]) -> None:
        """Make the changes, in their order. All of them are durable when it returns, none of them is made when it
        raises StorageError. It raises the subclass ChangeRefusedError when fewer or other changes may still succeed.
        """

    def close(self) -> None:
        """Give back what the storage holds. A second close does nothing; other operations raise StorageError then."""


class ChangeRefusedError(StorageError):
    """The storage works, but some of these changes cannot be stored in it."""


def failure(what: str, where: str, why: object, advice: str) -> StorageError:
    """The error that says what failed on which file, for which reason, and what to do about it."""
    return StorageError(f"{what} {where}: {why}; {advice}")


def refusal(where: str, why: object, advice: str) -> ChangeRefusedError:
    """The error for changes that will never be stored in this form."""
    return ChangeRefusedError(f"cannot store in {where}: {why}; {advice}")


def refuse_what_is_no_file(path: str) -> None:
    """Raises StorageError for a folder, and for what may never end or swallows all: a device, a pipe, a socket."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return  # there is nothing yet; or to open it will say what is wrong
    if not stat.S_ISREG(mode):
        why = "it is a folder" if stat.S_ISDIR(mode) else "it is a device, a pipe or a socket"
        raise failure("cannot open", path, why, "give a file")


def broken_text(where: str, problem: UnicodeEncodeError) -> ChangeRefusedError:
    """The refusal of a text with half a surrogate pair: it has no UTF-8 form, so no file or peer can hold it."""
    excerpt = problem.object[max(0, problem.start - 20) : problem.end + 20]
    return refusal(where, f"{excerpt!a} is not valid Unicode (a lone surrogate)", "correct the text")
