"""Storages that several nodes share: what one of them changes, all of them hear of, in one order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, auto
from typing import Final, NamedTuple, Protocol, runtime_checkable

from pyronym.directory.record import Change, Lease, Record
from pyronym.errors import StorageError
from pyronym.storage.base import ChangeRefusedError, Storage


class OutrunError(ChangeRefusedError):
    """Another node has changed the name meanwhile. Nothing was changed; whether to change it must be decided anew."""


class Condition(Enum):
    """What must hold of the names of some changes, or else none of them is made."""

    NONE = auto()
    ABSENT = auto()
    """They do not exist."""
    UNCHANGED = auto()
    """They exist, and nobody has changed them since a revision."""
    ABSENT_OR_UNCHANGED = auto()
    """One of both: nothing is replaced that this node has not heard of."""


class Basis(NamedTuple):
    """What a change was decided on."""

    condition: Condition
    revision: int
    """That of the directory when it was decided."""
    departing: bool = False
    """A leased record is removed although its lease has not ended. Others cannot know: they have to be told."""


class SharedItem(Protocol):
    """Changes that are made together or not at all, on behalf of one caller."""

    @property
    def changes(self) -> Sequence[Change]:
        """Of different names."""

    @property
    def basis(self) -> Basis:
        """What they were decided on."""

    @property
    def submitted(self) -> float:
        """Since when they are waiting, as `time.monotonic` says it."""


class News(NamedTuple):
    """What has happened at one revision."""

    revision: int
    changes: Sequence[Change] = ()
    departed: frozenset[str] = frozenset()
    """Names that were removed although their leases had not ended."""


class Listener(Protocol):
    """Told of what happens in the storage, in one thread."""

    def follow(self, news: Sequence[News]) -> None:
        """These have happened since the last time, all changes of a revision together."""

    def replace(self, revision: int, records: Iterable[Record]) -> None:
        """What has happened since is not known; at `revision` there are these records, and no others."""


class Freshness(NamedTuple):
    """How well a node knows what the storage has."""

    stale_since: float | None
    """Since when it may not know it, in seconds since 1970; None: it does."""
    reason: str | None
    """Why it may not."""
    lag: float | None
    """Seconds that the latest change that was measured took to get here; None: none was yet."""


ALWAYS_FRESH: Final = Freshness(None, None, None)


@runtime_checkable
class SharedStorage(Storage, Protocol):
    """A storage that other nodes change, too."""

    @property
    def node(self) -> str:
        """The id of this node, another one each time that it is opened."""

    @property
    def revision(self) -> int:
        """That of what `load` gave."""

    @property
    def freshness(self) -> Freshness:
        """How well this node knows what the storage has."""

    def local_host(self) -> str | None:
        """The address of this machine on the way to the storage, as far as it is known."""

    def look(self) -> Iterable[Record]:
        """All records, for one who only looks: unlike `load` this writes nothing at all. Raises StorageError."""

    def follow(self, listener: Listener) -> None:
        """Have `listener` told of what happens from the revision of `load` on, until the storage is closed."""

    def portion(self, items: Sequence[SharedItem]) -> int:
        """How many of these items, from the first on, `transact` can make: at least one, and none that has a name in
        common with another.
        """

    def transact(self, items: Sequence[SharedItem]) -> Sequence[StorageError | None]:
        """Make the changes of a portion. For each item no error if its changes are durable and the listener was told of
        them, otherwise why not; OutrunError if its condition did not hold, at a revision that the listener knows.

        May be called from several threads, if their portions have no name in common.
        """

    def check_renewal(self, lease: Lease) -> None:
        """UnchangedError if a record whose lease this node counts may go before that, if it counts anew from now on:
        because the storage has not heard of this node for too long. Never waits.
        """

    def announce(self, about: Mapping[str, object]) -> None:
        """Tell other nodes about this one, as long as it lives."""

    def nodes(self) -> dict[str, Mapping[str, object]]:
        """What is known about the nodes that live, by their ids."""
