"""What is written down while things go wrong: what clients did, what watchers were told, and what etcd has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

Kind = Literal["register", "register_safe", "remove", "lookup", "list", "renew"]
WRITES: frozenset[Kind] = frozenset({"register", "register_safe", "remove", "renew"})


class Outcome(Enum):
    """What a client knows of an operation when it is over."""

    OK = "ok"
    TAKEN = "taken"
    """A safe registration was refused, because there is such a name."""
    REFUSED = "refused"
    """It was said that nothing was changed, or the request was not sent. Of a read: there was no answer."""
    UNKNOWN = "unknown"
    """It may have been carried out, or may be yet."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call. Times in seconds on a clock that all clients share.

    `name`: a name; of a list, the prefix. `node`: which one answered, "" if none did. `uri`: what was to be registered;
    of a lookup, what was found, None where there is no such name. `listing`: what a list found. `count`: the number of
    names that a remove removed, or a renew renewed. `lease`: seconds, of a registration with one and of its renewals.
    """

    client: str
    kind: Kind
    name: str
    node: str
    invoked: float
    returned: float
    outcome: Outcome = Outcome.OK
    uri: str | None = None
    listing: Mapping[str, str] | None = None
    count: int = 0
    lease: float | None = None
    words: str = ""

    @property
    def needs_etcd(self) -> bool:
        """Whether it was one that no node can answer alone. That a name is taken or unknown is known from memory, and
        renewals are counted there.
        """
        if self.kind == "remove":
            return self.outcome is not Outcome.OK or self.count > 0
        return self.kind in ("register", "register_safe") and self.outcome is not Outcome.TAKEN

    def __str__(self) -> str:
        if self.kind == "list":
            result = f"{len(self.listing or {})} names"
        else:
            result = f"{self.count}" if self.kind in ("remove", "renew") else f"{self.uri}"
        times = f"{self.invoked:.3f}-{self.returned:.3f}"
        node = self.node or "no node"
        return f"{self.client} at {node}, {times}: {self.kind} {self.name} = {result} ({self.outcome.value})"


@dataclass(frozen=True, slots=True)
class Told:
    """One change, as a watcher is told of it. `uri`: where the name is gone, the last one."""

    revision: int
    kind: str
    name: str
    uri: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a watcher who asked for what has happened since a revision; at first since none."""

    watcher: str
    prefix: str
    node: str
    invoked: float
    returned: float
    since: int | None
    revision: int
    changes: Sequence[Told] = ()
    reset: bool = False

    def __str__(self) -> str:
        return f"{self.watcher} at {self.node}, {self.returned:.3f}: watch {self.prefix} since {self.since}"


@dataclass(frozen=True, slots=True)
class Commit:
    """One change, as etcd has it. `uri`: None where the name was deleted."""

    revision: int
    name: str
    uri: str | None
    leased: bool = False


@dataclass
class History:
    """All of it. `commits`: in the order of their revisions. `ends`: the names of each node when all is quiet again."""

    operations: list[Operation] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    ends: dict[str, Mapping[str, str]] = field(default_factory=dict)
