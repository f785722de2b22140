"""Batches of registrations: all of them are one change of the storage, and are waited for once.

One by one, 50 registrations of a batch waited for 50 commits: with etcd, 64 clients who sent such batches got no more
done than 64 who sent one registration at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

from pyronym.directory.record import Record
from pyronym.rpc.hosting import Step
from pyronym.service.commit import Deferral
from pyronym.service.requests import NameServer
from pyronym.storage.base import ChangeRefusedError
from pyronym.wire.straight import DeclinedError


class Together:
    """The end of registrations that are one change, as a Deferred: DeclinedError where they are refused as one."""

    def __init__(self, made: Deferral[bool]) -> None:
        self._made = made

    def add_done_callback(self, callback: Callable[[Together], object]) -> None:
        """See `Deferred`."""
        self._made.add_done_callback(lambda _: callback(self))

    def result(self) -> None:
        """See `Deferred`."""
        try:
            made = self._made.result()
        except ChangeRefusedError as problem:
            raise DeclinedError from problem
        if not made:
            raise DeclinedError


def together(server: NameServer, steps: Sequence[Step]) -> Generator[Any, Any, Sequence[None] | None]:
    """See `Hosted.together`. Only for plain registrations of different names; and where it turns out that one of them
    is refused, none has been made: then each of them, one by one, has its own outcome.
    """
    records = _plain(server, steps)
    if len(records) < len(steps):
        return None
    try:
        outcome = server.register_all(list(records.values()))
        made = (yield outcome) if isinstance(outcome, Deferral) else outcome
    except ChangeRefusedError:
        return None
    return [None] * len(steps) if made else None


def _plain(server: NameServer, steps: Sequence[Step]) -> dict[str, Record]:
    """The records of registrations up to the first call that is another one, or wrong in some way."""
    records: dict[str, Record] = {}
    for method, args, kwargs in steps:
        if method != "register":
            break
        try:
            record = server.plain_record(*args, **kwargs)
        except Exception:  # whatever it is: it will happen again, when it is this call's turn
            break
        if record is None:
            break
        records[record.name] = record
    return records
