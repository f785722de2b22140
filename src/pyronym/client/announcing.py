"""What programs say and hear of the names that are kept registered for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from pyronym.service.arguments import checked_lease, checked_name, checked_tags, checked_uri
from pyronym.uri import URI

LEASE: Final = 10.0
"""Seconds that a name outlives its program, if nothing else is said."""

RENEWALS: Final = 3
"""In the time of a lease: two may fail, and the name is still there."""


class NoticeKind(StrEnum):
    """What has happened to an announced name."""

    REGISTERED = "registered"
    """It stands for its URI, for the first time."""
    LOST = "lost"
    """No name server answers, or the one that does has forgotten it. It is tried again."""
    FOUND = "found"
    """After it was lost: a name server answers again, and has kept it."""
    REGISTERED_AGAIN = "registered again"
    """After it was lost or taken."""
    MOVED = "moved"
    """It is renewed at another node from here on."""
    TAKEN = "taken"
    """It stands for somebody else's registration."""
    FAILED = "failed"
    """It could not be registered, renewed or removed. Told once for each reason; it is tried again."""
    ENDED = "ended"
    """It is not announced any more. This is the last that is told."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What has happened to an announced name. `where`: the location of the name server; None: none answers.

    `problem`: what was wrong, for LOST, TAKEN and FAILED.
    """

    kind: NoticeKind
    name: str
    where: str | None
    problem: Exception | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be kept registered; `safe`: not in place of another at first; `take_back`: in place of one later."""

    name: str
    uri: str
    lease: float = LEASE
    metadata: frozenset[str] = frozenset()
    safe: bool = False
    take_back: bool = False

    @classmethod
    def checked(
        cls,
        name: str,
        uri: str | URI,
        lease: float,
        metadata: Iterable[str] | None,
        safe: bool,
        take_back: bool,
    ) -> Self:
        """One of arguments as programs give them. TypeError, ValueError, PyroError for what no name server takes."""
        seconds = checked_lease(lease)
        if seconds is None:
            raise TypeError("lease must be a number of seconds, not None (without one: nameserver.register)")
        tags = checked_tags(() if metadata is None else metadata)
        return cls(checked_name(name), str(URI(checked_uri(uri))), seconds, tags, bool(safe), bool(take_back))

    @property
    def interval(self) -> float:
        """Seconds between two renewals."""
        return self.lease / RENEWALS
