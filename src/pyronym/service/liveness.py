"""Which records a name server probes, and which of them it removes: decided without a clock and without a socket.

In each round the daemons of all records are asked for the objects that they have. A record goes when its daemon was
unreachable, or did not know the object, in every round for as long as the grace period. Only what the last round found
is kept, so that names that are gone leave nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from functools import lru_cache
from ipaddress import ip_address
from typing import Final, NamedTuple

from pyronym.directory.record import Record
from pyronym.errors import PyroError
from pyronym.uri import NAMESERVER_NAME, URI, is_link_local

ALIVE: Final = "alive"
UNREACHABLE: Final = "unreachable"
UNKNOWN_OBJECT: Final = "object unknown"
NOT_PROBED: Final = "not probed"
STATES: Final = (ALIVE, UNREACHABLE, UNKNOWN_OBJECT, NOT_PROBED)


class State(NamedTuple):
    """How the object of a record is: one of STATES, and for how many `seconds` it has been so if that is bad."""

    state: str
    seconds: float | None = None


class Alive(NamedTuple):
    """A daemon answered. `objects`: the ids of what it has; None if it did not say."""

    objects: Container[str] | None


class Dead(NamedTuple):
    """No daemon answered, because of `why`."""

    why: str


Finding = Alive | Dead | None
"""What a probe of one daemon has found; None: nothing, for a reason on our side."""


class Expected(NamedTuple):
    """An object that a daemon should have, because of a record."""

    object_id: str
    record: Record


class Suspect(NamedTuple):
    """A record whose object was not found, since the time `since`."""

    record: Record
    state: str
    since: float
    why: str


def unprobed(record: Record) -> State:
    """The state of all records where nothing is probed."""
    return State(NOT_PROBED)


def is_probed(record: Record) -> bool:
    """Whether the life of a record depends on probes, if its URI allows them: not if it depends on a lease."""
    return record.name != NAMESERVER_NAME and record.lease is None


@lru_cache(maxsize=4096)
def is_loopback(host: str) -> bool:
    """Whether a host stands for the machine itself, whoever asks. (A daemon at 0.0.0.0 registers that.)"""
    try:
        address = ip_address(host)
    except ValueError:
        return host in ("", "localhost")
    return address.is_loopback or address.is_unspecified


def is_near(uri: URI) -> bool:
    """Whether a URI leads to an object on the machine of whoever uses it."""
    return uri.sockname is not None or is_loopback(uri.host or "")


class Liveness:
    """What is known of the objects of records. Times are seconds of any clock that never goes back.

    `grace`: for how long an object must be missing before its record goes. `all_from_here`: only clients on this
    machine can register anything. If others can, URIs that lead to an object on one's own machine are not probed, but
    for those that are known to have been registered from here: those of another machine would lead to a wrong place.
    """

    def __init__(self, grace: float, *, all_from_here: bool) -> None:
        self._grace = grace
        self._all_from_here = all_from_here
        self._from_here: dict[str, str] = {}
        self._found: dict[str, Record | Suspect] = {}
        self._finding: dict[str, Record | Suspect] = {}

    def note_registration(self, record: Record, *, from_here: bool) -> bool:
        """A client has registered a record. Whether nobody but that client's machine can reach the object."""
        if not is_near(URI(record.uri)):
            return False
        if from_here:
            self._from_here[record.name] = record.uri
            return False
        self._from_here.pop(record.name, None)
        return True

    def forget_others(self, is_there: Callable[[str], bool]) -> None:
        """Forget the registrations of names that are not there any more."""
        for name in list(self._from_here):  # others may be noted meanwhile, in another thread
            if not is_there(name):
                self._from_here.pop(name, None)

    def target(self, record: Record) -> tuple[URI, str] | None:
        """The daemon to probe because of a record, and the id of the object there; None if it is not to be probed."""
        if not is_probed(record):
            return None
        try:
            uri = URI(record.uri)
        except PyroError:  # files that others have written hold any text
            return None
        if uri.protocol != "PYRO" or not isinstance(uri.object, str) or is_link_local(uri.host or ""):
            return None
        if is_near(uri) and not self._all_from_here and self._from_here.get(record.name) != record.uri:
            return None
        return uri, uri.object

    def judge(self, expected: Iterable[Expected], finding: Finding, now: float) -> list[Suspect]:
        """Take down what the probe of one daemon has found out about these. Those whose records have to go."""
        due = []
        for object_id, record in expected:
            before = self._found.get(record.name)
            if finding is None:
                if before is not None and _record_of(before) is record:
                    self._finding[record.name] = before
                continue
            state, why = _verdict(finding, object_id)
            if state == ALIVE:
                self._finding[record.name] = record
                continue
            since = before.since if isinstance(before, Suspect) and before.record is record else now
            suspect = self._finding[record.name] = Suspect(record, state, since, why)
            if now - since >= self._grace:
                due.append(suspect)
        return due

    def end_round(self) -> None:
        """All daemons have been probed. What was found of names that were not asked about is forgotten."""
        self._found, self._finding = self._finding, {}

    def state_of(self, record: Record, now: float) -> State:
        """How the object of a record is, as the last round that has ended found it."""
        found = self._found.get(record.name)
        if found is None or _record_of(found) is not record:
            return State(NOT_PROBED)
        return State(found.state, now - found.since) if isinstance(found, Suspect) else State(ALIVE)


def _record_of(found: Record | Suspect) -> Record:
    return found.record if isinstance(found, Suspect) else found


def _verdict(finding: Alive | Dead, object_id: str) -> tuple[str, str]:
    """The state of an object, and why it is not alive."""
    if isinstance(finding, Dead):
        return UNREACHABLE, finding.why
    if finding.objects is not None and object_id not in finding.objects:
        return UNKNOWN_OBJECT, "its daemon does not know the object"
    return ALIVE, ""
