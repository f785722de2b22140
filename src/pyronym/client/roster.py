"""Keeping names registered at a name server: what to ask next, and what its answers mean.

Nothing in here waits, asks or looks at a clock. A `Roster` says what to do, somebody does it, and tells the roster what
came of it. Times are seconds of any clock that only goes forward.

Each name goes through phases. A name server that knows no leases is asked, instead of renewing, what the name stands
for::

    REGISTER --register--> HELD --renew, at the end--> REMOVE --remove--> gone
        ^                   |
        |                   | renew: it stands for another registration
        +---- our URI --- COMPARE --- somebody else's: left to them, gone
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

from pyronym.client.announcing import Notice, NoticeKind, Wish
from pyronym.client.watching import pauses
from pyronym.directory.schedule import Schedule
from pyronym.errors import (
    NameTakenError,
    NamingError,
    NotSentError,
    ProtocolError,
    PyroError,
    UnchangedError,
    UnknownNameError,
)
from pyronym.uri import URI

MANY: Final = 1000
"""Names in one request. To renew so many takes the name server some milliseconds, in which others wait."""


class Wait(NamedTuple):
    """Do nothing for so many seconds."""

    seconds: float


class Connect(NamedTuple):
    """Look for the name server; then call `connected` or `not_found`."""


class Ask(NamedTuple):
    """Call a method of the name server; then call `answered`, `refused` or `hung_up`."""

    method: str
    args: tuple[object, ...]
    kwargs: dict[str, object]
    names: tuple[str, ...]
    """What it is about."""


Step = Wait | Connect | Ask


class _Phase(Enum):
    REGISTER = auto()
    HELD = auto()
    COMPARE = auto()
    REMOVE = auto()


@dataclass(slots=True)
class _Entry:
    wish: Wish
    careful: bool
    """It is not to be registered in place of another."""
    phase: _Phase = _Phase.REGISTER
    id: str | None = None
    """Of the registration, where there is a lease."""
    where: str | None = None
    """The name server that has confirmed it last; None: none has so far."""
    uncertain: bool = False
    """It was not heard whether it was registered."""
    lost: bool = False
    """It was told that it is lost."""
    forgotten: bool = False
    """The name server did not know it, or had another one."""
    alone: bool = False
    """It is renewed in a request of its own, because one for many was refused."""
    closing: bool = False
    """It is to be removed."""
    refusal: str = ""
    """The reason that was told last."""


class Roster:
    """The names that are kept registered at one name server, be it of several nodes.

    `new_pauses`: how long to wait between searches for the name server; never longer than the shortest interval of
    renewals.
    """

    def __init__(self, new_pauses: Callable[[], Iterator[float]] = pauses) -> None:
        self.leases: bool | None = None
        """Whether the name server knows leases; None: it was not asked yet."""
        self._entries: dict[str, _Entry] = {}
        self._where: str | None = None
        self._new_pauses = new_pauses
        self._pauses = new_pauses()
        self._failures = 0
        """Connections that were lost since the last answer about a name."""
        self._next_try = float("-inf")
        self._renewals: Schedule[str] = Schedule()
        """Of leases. They come first, so that none ends while many names are registered."""
        self._others: Schedule[str] = Schedule()
        """All that is asked for one name at a time, in the order in which that became necessary."""
        self._asked: Ask | None = None

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def interval(self) -> float:
        """The shortest time from one renewal to the next, in seconds; endless when there is no name."""
        return min((entry.wish.interval for entry in self._entries.values()), default=float("inf"))

    # What is to be announced

    def add(self, wish: Wish, now: float) -> None:
        """Keep this registered from here on. ValueError if the name is announced already."""
        if wish.name in self._entries:
            raise ValueError(f"this program announces {wish.name!r} already (close that announcement first)")
        self._entries[wish.name] = entry = _Entry(wish, careful=wish.safe)
        self._next_try = now
        self._plan(entry, now)

    def end(self, name: str, now: float) -> list[Notice]:
        """Remove a name, as far as it is ours, and keep it no longer. Nothing happens if it is not announced."""
        entry = self._entries.get(name)
        if entry is None:
            return []
        entry.closing = True
        if self._asked is not None and name in self._asked.names:
            return []  # what is next depends on the answer
        if self._where is None and now < self._next_try:
            return self._drop(entry)  # there is no name server
        return self._resume(entry, now)

    # What to do

    def next_step(self, now: float) -> Step:
        """What is to be done. Not to be called while an `Ask` has no outcome."""
        if self._where is None:
            return Connect() if now >= self._next_try else Wait(self._next_try - now)
        renewal, other = self._renewals.next(), self._others.next()
        if self.leases is None or (renewal is not None and renewal <= now):
            return self._ask_for_renewal(now)
        for name in self._others.due(now, 1):
            return self._ask_for(self._entries[name])
        return Wait(min(time for time in (renewal, other, float("inf")) if time is not None) - now)

    def _ask_for_renewal(self, now: float) -> Ask:
        """Also of names whose interval is half over: so all of one interval are soon renewed together."""
        ids: dict[str, str | None] = {}
        for name, entry in self._entries.items():
            due = self._renewals.get(name)
            if due is not None and due - now <= entry.wish.interval / 2 and len(ids) < MANY:
                self._renewals.drop(name)
                ids[name] = entry.id
        return self._ask("renew", (ids,), {}, ids)

    def _ask_for(self, entry: _Entry) -> Ask:
        wish = entry.wish
        names = (wish.name,)
        match entry.phase:
            case _Phase.REGISTER:
                options: dict[str, object] = {"safe": entry.careful, "metadata": sorted(wish.metadata)}
                if self.leases:
                    options["lease"] = wish.lease
                return self._ask("register", (wish.name, wish.uri), options, names)
            case _Phase.REMOVE:
                return self._ask("remove", names, {}, names)
            case _Phase.HELD if self.leases:
                return self._ask("renew", ({wish.name: entry.id},), {}, names)
            case _Phase.HELD | _Phase.COMPARE:
                return self._ask("lookup", names, {}, names)

    def _ask(self, method: str, args: tuple[object, ...], kwargs: dict[str, object], names: Iterable[str]) -> Ask:
        self._asked = Ask(method, args, kwargs, tuple(names))
        return self._asked

    # What came of it

    def connected(self, where: str, now: float) -> None:
        """There is a connection to a name server."""
        self._where = where
        self.leases = None
        for entry in self._entries.values():
            if entry.phase is _Phase.HELD and entry.id is None:  # from a name server without leases
                entry.phase = _Phase.COMPARE
                self._plan(entry, now)
        self._plan_all_held(now)

    def not_found(self, problem: Exception, now: float) -> list[Notice]:
        """There is no name server."""
        self._where = None
        notices: list[Notice] = []
        for entry in list(self._entries.values()):
            if entry.closing:
                notices += self._drop(entry)
            elif entry.where is None:
                notices += self._failure(entry, problem)
            else:
                notices += self._loss(entry, problem)
        self._next_try = now + min(next(self._pauses), self.interval)
        return notices

    def hung_up(self, problem: Exception, now: float) -> list[Notice]:
        """The connection is lost, or the node cannot change anything now.

        The first time that means nothing: there may be another node, or a new server.
        """
        notices: list[Notice] = []
        self._where = None
        if self._asked is not None:
            for entry in self._about(asked := self._finish()):
                if asked.method == "register" and not isinstance(problem, NotSentError | UnchangedError):
                    entry.uncertain = True
                notices += self._resume(entry, now)
        self._failures += 1
        self._next_try = now
        return notices if self._failures == 1 else [*notices, *self.not_found(problem, now)]

    def answered(self, answer: object, now: float) -> list[Notice]:
        """The name server has done what was asked, and has given this."""
        asked = self._finish()
        if asked.names:  # to renew nothing is what also nodes can that can change nothing
            self._failures = 0
            self._pauses = self._new_pauses()
        if asked.method == "renew":
            return self._take_renewal(asked, answer, now)
        (entry,) = self._about(asked)
        if asked.method == "register":
            entry.id = _lease_id(answer)
            if self.leases and entry.id is None:
                problem = ProtocolError(f"the answer to register is {answer!r:.200} (expected the id of a lease)")
                return self._fail(entry, problem, now)
            return self._confirm(entry, now)
        if asked.method == "remove":
            return self._drop(entry)
        return self._take_comparison(entry, answer, now)

    def refused(self, problem: Exception, now: float) -> list[Notice]:
        """The name server has not done what was asked."""
        asked = self._finish()
        if asked.method == "renew":
            return self._take_refusal_to_renew(asked, problem, now)
        (entry,) = self._about(asked)
        if asked.method == "lookup" and isinstance(problem, UnknownNameError):
            return self._forget(entry, problem, now)
        if asked.method == "register" and isinstance(problem, NameTakenError):
            if entry.where is None and not entry.uncertain:
                return [self._notice(entry, NoticeKind.TAKEN, problem), *self._drop(entry)]
            return self._enter(entry, _Phase.COMPARE, now)
        return self._fail(entry, problem, now)

    def _take_renewal(self, asked: Ask, answer: object, now: float) -> list[Notice]:
        match answer:
            case {"unknown": [*unknown], "taken": [*taken]}:
                gone, contested = set(unknown), set(taken)
            case _:
                problem = ProtocolError(f"the answer to renew is {answer!r:.200} (expected unknown and taken)")
                return self._take_refusal_to_renew(asked, problem, now)
        self.leases = True
        forgotten = NamingError("the name server does not know it any more")
        notices: list[Notice] = []
        for entry in self._about(asked):
            entry.alone = False
            name = entry.wish.name
            if name in gone:
                notices += self._forget(entry, forgotten, now)
            elif name in contested:
                notices += self._drop(entry) if entry.closing else self._enter(entry, _Phase.COMPARE, now)
            else:
                notices += self._confirm(entry, now)
        return notices

    def _take_refusal_to_renew(self, asked: Ask, problem: Exception, now: float) -> list[Notice]:
        if isinstance(problem, AttributeError):  # a stock server
            self.leases = False
            self._plan_all_held(now)
            return []
        self.leases = True
        entries = self._about(asked)
        if len(entries) == 1:
            return self._fail(entries[0], problem, now)
        for entry in entries:  # if one may not be renewed, none is
            entry.alone = True
            self._plan(entry, now)
        return []

    def _take_comparison(self, entry: _Entry, answer: object, now: float) -> list[Notice]:
        try:
            ours = isinstance(answer, str | URI) and URI(answer) == URI(entry.wish.uri)
        except PyroError:
            ours = False
        if not ours:
            return self._give_way(entry, now)
        if entry.closing:
            return self._enter(entry, _Phase.REMOVE, now)
        if not self.leases:
            return self._confirm(entry, now)
        entry.careful = False
        return self._enter(entry, _Phase.REGISTER, now)

    # What becomes of a name

    def _confirm(self, entry: _Entry, now: float) -> list[Notice]:
        """It stands for our registration."""
        kind = None
        if entry.where is None:
            kind = NoticeKind.REGISTERED
        elif entry.forgotten:
            kind = NoticeKind.REGISTERED_AGAIN
        elif entry.where != self._where:
            kind = NoticeKind.MOVED
        elif entry.lost:
            kind = NoticeKind.FOUND
        entry.where, entry.refusal = self._where, ""
        entry.uncertain = entry.lost = entry.forgotten = False
        if entry.closing:
            return self._enter(entry, _Phase.REMOVE, now)
        entry.phase = _Phase.HELD
        self._plan(entry, now + entry.wish.interval)
        return [] if kind is None else [self._notice(entry, kind)]

    def _forget(self, entry: _Entry, problem: Exception, now: float) -> list[Notice]:
        """The name server does not know it."""
        if entry.closing:
            return self._drop(entry)
        notices = [] if entry.where is None else self._loss(entry, problem)
        entry.forgotten = True
        entry.careful = not entry.wish.take_back
        return notices + self._enter(entry, _Phase.REGISTER, now)

    def _give_way(self, entry: _Entry, now: float) -> list[Notice]:
        """It stands for somebody else's registration."""
        if entry.closing:
            return self._drop(entry)
        taken = self._notice(entry, NoticeKind.TAKEN, NameTakenError(entry.wish.name))
        if not entry.wish.take_back or entry.where is None:
            return [taken, *self._drop(entry)]
        entry.lost = entry.forgotten = True
        entry.careful = False
        return [taken, *self._enter(entry, _Phase.REGISTER, now)]

    def _loss(self, entry: _Entry, problem: Exception) -> list[Notice]:
        if entry.lost:
            return []
        entry.lost = True
        return [self._notice(entry, NoticeKind.LOST, problem)]

    def _fail(self, entry: _Entry, problem: Exception, now: float) -> list[Notice]:
        """The name server refuses. It is asked again when it would have been renewed."""
        notices = self._failure(entry, problem)
        if entry.closing:
            return notices + self._drop(entry)
        self._plan(entry, now + entry.wish.interval)
        return notices

    def _failure(self, entry: _Entry, problem: Exception) -> list[Notice]:
        if entry.refusal == str(problem):
            return []
        entry.refusal = str(problem)
        return [self._notice(entry, NoticeKind.FAILED, problem)]

    def _drop(self, entry: _Entry) -> list[Notice]:
        name = entry.wish.name
        del self._entries[name]
        self._renewals.drop(name)
        self._others.drop(name)
        return [self._notice(entry, NoticeKind.ENDED)]

    def _notice(self, entry: _Entry, kind: NoticeKind, problem: Exception | None = None) -> Notice:
        return Notice(kind, entry.wish.name, self._where, problem)

    # When it is its turn

    def _enter(self, entry: _Entry, phase: _Phase, now: float) -> list[Notice]:
        entry.phase = phase
        return self._resume(entry, now)

    def _resume(self, entry: _Entry, now: float) -> list[Notice]:
        """Go on with an entry at once."""
        if entry.closing and entry.phase is _Phase.REGISTER:
            if not entry.uncertain:
                return self._drop(entry)
            entry.phase = _Phase.COMPARE
        self._plan(entry, now)
        return []

    def _plan(self, entry: _Entry, when: float) -> None:
        name = entry.wish.name
        self._renewals.drop(name)
        self._others.drop(name)
        together = entry.phase is _Phase.HELD and self.leases is not False and not entry.alone
        (self._renewals if together else self._others).set(name, when)

    def _plan_all_held(self, when: float) -> None:
        for entry in self._entries.values():
            if entry.phase is _Phase.HELD:
                self._plan(entry, when)

    def _finish(self) -> Ask:
        asked, self._asked = self._asked, None
        assert asked is not None, "there was a question"
        return asked

    def _about(self, asked: Ask) -> list[_Entry]:
        return [self._entries[name] for name in asked.names]


def _lease_id(answer: object) -> str | None:
    match answer:
        case {"id": str(lease_id)}:
            return lease_id
    return None
