"""The storage ``etcd:``: all records in a cluster of etcd, for as many nodes as there are."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from typing import Final

from pyronym.directory.record import Change, Lease, Record
from pyronym.errors import StorageError, UnchangedError
from pyronym.settings import Settings
from pyronym.storage.base import ChangeRefusedError, failure, refusal
from pyronym.storage.etcd.address import etcd_address
from pyronym.storage.etcd.following import Contents, Follower, Reader
from pyronym.storage.etcd.leases import NodeLeases
from pyronym.storage.etcd.messages_pb2 import Compare, RangeRequest, TxnRequest, TxnResponse
from pyronym.storage.etcd.overseer import Overseer
from pyronym.storage.etcd.transactions import grows, outrun, portion, transaction
from pyronym.storage.etcd.transport import (
    DENIED,
    INVALID,
    NO_SPACE,
    NOT_FOUND,
    OUT_OF_RANGE,
    RANGE,
    TXN,
    UNAUTHENTICATED,
    EtcdError,
    RefusedError,
    Transport,
    UnansweredError,
    UnreachableError,
)
from pyronym.storage.etcd.values import Keys, dumps, loads
from pyronym.storage.shared import (
    ALWAYS_FRESH,
    Basis,
    Condition,
    Freshness,
    Listener,
    OutrunError,
    SharedItem,
)

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0
TELL_SECONDS: Final = 10.0
"""How often a start that waits for etcd tries again, and says so."""
READ_SECONDS: Final = 5.0

_PROGRAM: Final = "pyronym"

_ADVICE: Final = {
    DENIED: "let the user read and write the prefix (etcdctl role grant-permission --prefix=true)",
    UNAUTHENTICATED: "check the user in the address, and PYRO_ETCD_PASSWORD or PYRO_ETCD_PASSWORDFILE",
    NO_SPACE: "compact and defragment etcd, then switch its alarm off (etcdctl alarm disarm)",
}


_OUTRUN: Final = "another node was faster"
_UNHEARD: Final = "another node was faster, and this one has not heard of what it did yet"

_ON_NOTHING: Final = Basis(Condition.NONE, 0)


def _where_to_look(problem: EtcdError) -> str:
    if "TLS: " in str(problem):
        return "check PYRO_ETCD_CACERT, PYRO_ETCD_CERT and PYRO_ETCD_KEY"
    return "check the address, and etcd"


def _advice(problem: RefusedError) -> str:
    code = problem.code
    if code == INVALID and any(words in str(problem) for words in ("authentication failed", "user name is empty")):
        code = UNAUTHENTICATED
    return _ADVICE.get(code, "see etcd's log")


@dataclass(frozen=True)
class _Plain:
    """Changes that were decided on nothing."""

    changes: Sequence[Change]
    submitted: float
    basis: Basis = _ON_NOTHING


@dataclass
class _Made:
    """What etcd has made of a group of items, up to a revision; and what else became of them, by their `id`."""

    group: Sequence[SharedItem]
    deadline: float
    revision: int = 0
    errors: dict[int, StorageError] = field(default_factory=dict)

    def add(self, other: _Made) -> None:
        """Count in what has become of some of them."""
        self.errors |= other.errors
        self.revision = max(self.revision, other.revision)


class EtcdStorage:
    """The part of a cluster that `address` names (see `etcd_address`).

    ValueError if the address or a file of the settings cannot be used. Nothing is connected before `load`, which waits
    until etcd can be reached, if `wait` says so.
    """

    immediate = False

    def __init__(self, address: str, settings: Settings, *, wait: bool = True) -> None:
        where = etcd_address(address)
        self.description = where.text
        self.node = secrets.token_hex(6)
        self.revision = 0
        self._wait = wait
        self._timeout = settings.etcd_timeout
        self._keys = Keys(where.prefix)
        try:
            self._transport = Transport(where, settings)
        except OSError as problem:
            raise ValueError(f"cannot read a file that the settings for etcd name: {problem}") from problem
        self._contents = Contents(self._keys)
        self._reader = Reader(self._transport, self._keys, self._contents)
        self._leases = NodeLeases(self._transport, settings.ephemeral_grace, self._timeout, time.monotonic)
        self._follower: Follower | None = None
        self._overseer: Overseer | None = None
        self._closed = Event()

    # Reading

    def load(self) -> Iterable[Record]:
        """All records. Raises StorageError."""
        self._check_open()
        self.revision, records = self._reached(self._begin)
        return records

    def look(self) -> Iterable[Record]:
        """As every shared storage's."""
        self._check_open()
        _, records = self._reached(self._read)
        return records

    def follow(self, listener: Listener) -> None:
        """Have `listener` told of what happens from the revision of `load` on, until the storage is closed."""
        self._follower = Follower(self._transport, self._keys, self._contents, self._reader, self.revision, listener)
        self._overseer = Overseer(self._transport, self._keys, self._contents, self._leases, self._follower, self.node)

    @property
    def freshness(self) -> Freshness:
        """How well this node knows what etcd has."""
        return ALWAYS_FRESH if self._overseer is None else self._overseer.freshness

    def local_host(self) -> str | None:
        """The address of this machine on the way to etcd."""
        return self._transport.local_host()

    def announce(self, about: Mapping[str, object]) -> None:
        """Tell other nodes about this one, as long as it lives."""
        assert self._overseer is not None, "a node that tells of itself follows the others"
        self._overseer.announce(about)

    def nodes(self) -> dict[str, Mapping[str, object]]:
        """What is known about the nodes that live, by their ids."""
        return dict(self._contents.nodes)

    def close(self) -> None:
        """Follow no more, and be no node any more. What was registered here with a lease stays until that ends."""
        self._closed.set()
        if self._overseer is not None:
            self._overseer.close()
        if self._follower is not None:
            self._follower.close()
        self._transport.close()

    # Writing

    def commit(self, changes: Sequence[Change]) -> None:
        """Make changes, whatever was there. As every storage's; ChangeRefusedError, too, for more than fit into one
        transaction.
        """
        self._check_open()
        last = {change.name: change for change in changes}
        errors = self.transact([_Plain(tuple(last.values()), time.monotonic())]) if last else ()
        for error in filter(None, errors):
            raise error

    def check_renewal(self, lease: Lease) -> None:
        """As every shared storage's."""
        if not self._leases.outlives(lease):
            raise self._unchanged(self.freshness.reason or "etcd's lease has ended, or was not kept alive in time")

    def portion(self, items: Sequence[SharedItem]) -> int:
        """As every shared storage's: as many as fit into one transaction."""
        return portion(items)

    def transact(self, items: Sequence[SharedItem]) -> Sequence[StorageError | None]:
        """As every shared storage's."""
        return self._errors(self._made(items))

    def _made(self, group: Sequence[SharedItem]) -> _Made:
        """One transaction. Where some are outrun, another one for the others."""
        made = _Made(group, group[0].submitted + self._timeout)  # the first has waited longest
        left = self._without_unreadable(group, made.errors)
        explain = False
        while left:
            try:
                answer = self._send(left, made.deadline, explain=explain)
            except ChangeRefusedError as problem:
                if len(left) > 1:  # one that can never be stored must not take the others with it
                    for item in left:
                        made.add(self._made([item]))
                else:
                    made.errors[id(left[0])] = problem
                break
            except StorageError as problem:
                made.errors |= {id(item): problem for item in left}
                break
            made.revision = answer.header.revision
            if answer.succeeded:
                break
            if explain:
                losers = outrun(left, answer)
                assert losers, "a transaction fails only if a condition does not hold"
                made.errors |= {id(item): OutrunError(_OUTRUN) for item in losers}
                left = [item for item in left if id(item) not in made.errors]
            explain = True
        return made

    def _errors(self, made: _Made) -> list[StorageError | None]:
        """What has come of the items, when this node knows what has happened."""
        errors: list[StorageError | None] = [made.errors.get(id(item)) for item in made.group]
        if made.revision and not self._catch_up(made.revision, made.deadline):
            return [self._unheard(error, made.revision) for error in errors]
        return errors

    def _unheard(self, error: StorageError | None, revision: int) -> StorageError:
        """What has come of an item, where this node has not heard of it in time."""
        if error is None:
            return self._half_done(revision)
        return self._unchanged(_UNHEARD) if isinstance(error, OutrunError) else error

    def _without_unreadable(self, group: Sequence[SharedItem], errors: dict[int, StorageError]) -> list[SharedItem]:
        unreadable = self._contents.unreadable
        if not unreadable:
            return list(group)
        left = []
        for item in group:
            name = next((change.name for change in item.changes if change.name in unreadable), None)
            if name is None:
                left.append(item)
            else:
                why = f"under {name!r} there is a value that this program cannot read"
                advice = "look at it with etcdctl get, and delete it there if nobody needs it; see the log"
                errors[id(item)] = refusal(self.description, why, advice)
        return left

    def _send(self, items: Sequence[SharedItem], deadline: float, *, explain: bool) -> TxnResponse:
        """etcd's answer to the transaction, see `transaction`. StorageError that says what has become of it."""
        stale_since, reason, _ = self.freshness
        left = deadline - time.monotonic()
        if stale_since is not None or left <= 0:
            raise self._unchanged(reason or "earlier changes took too long")
        known = 0 if self._follower is None else self._follower.revision
        try:
            answer = self._ask(items, left, explain=explain)
            if answer.succeeded and answer.header.revision < known + grows(items):
                # By a member at odds with the others, or after a restore: the follower would not wait for it.
                raise UnansweredError(f"it was done at revision {answer.header.revision}, and {known} had been before")
            return answer
        except UnreachableError as problem:
            self._suspect(problem)
            raise self._unchanged(problem) from problem
        except UnansweredError as problem:
            self._suspect(problem)
            why = f"no answer that counts, so it is unknown whether it was changed ({problem})"
            raise failure("cannot write to", self.description, why, "look, when etcd is back") from problem
        except RefusedError as problem:
            if problem.code == INVALID:
                raise refusal(self.description, problem, "make it smaller") from problem
            raise UnchangedError(f"{self.description}: {problem}; {_advice(problem)}") from problem

    def _ask(self, items: Sequence[SharedItem], timeout: float, *, explain: bool) -> TxnResponse:
        request = partial(transaction, items, self._keys, self._leases.for_record, explain=explain)
        try:
            return self._transport.call(TXN, request(), timeout)
        except RefusedError as problem:
            if problem.code != NOT_FOUND:
                raise
        self._leases.keep_alive(all_of_them=True)  # one has ended while etcd was away; which, it does not say
        return self._transport.call(TXN, request(), timeout)

    def _catch_up(self, revision: int, deadline: float) -> bool:
        """Whether this node knows what has happened up to a revision, for which it waits."""
        if self._follower is None or self._overseer is None:
            return True
        began = time.monotonic()
        if self._follower.wait_for(revision, max(deadline - began, 0.1)):
            self._overseer.lag = time.monotonic() - began
            return True
        self._suspect("the watch brings nothing, although etcd answers")
        return False

    def _suspect(self, problem: object) -> None:
        if self._overseer is not None:
            self._overseer.suspect(str(problem))

    # Beginning

    def _begin(self) -> tuple[int, list[Record]]:
        if not self._is_marked():
            self._mark()
        return self._reader.read()

    def _read(self) -> tuple[int, list[Record]]:
        self._is_marked()
        return self._reader.read()

    def _is_marked(self) -> bool:
        """Whether the prefix says that it is ours; if not, nothing is there. StorageError if it is somebody else's."""
        answer = self._transport.call(RANGE, RangeRequest(key=self._keys.format), READ_SECONDS, harmless=True)
        found = answer.kvs
        if not found:
            # At the same revision: another node that begins now, too, may have marked it as ours since.
            revision = answer.header.revision
            anything = RangeRequest(**self._keys.everything._asdict(), limit=1, revision=revision)
            if self._transport.call(RANGE, anything, READ_SECONDS, harmless=True).kvs:
                raise self._foreign("there are other keys below it")
            return False
        try:
            content = loads(found[0].value)
        except ValueError as problem:
            raise self._foreign(str(problem)) from problem
        if content.get("program") != _PROGRAM:
            raise self._foreign("its key says so")
        return True

    def _mark(self) -> None:
        request = TxnRequest()
        request.compare.add(key=self._keys.format, target=Compare.VERSION, result=Compare.EQUAL, version=0)
        put = request.success.add().request_put
        put.key, put.value = self._keys.format, dumps({"program": _PROGRAM})
        self._transport.call(TXN, request, READ_SECONDS, harmless=True)

    def _reached(self, action: Callable[[], tuple[int, list[Record]]]) -> tuple[int, list[Record]]:
        """What `action` gives, when etcd can be reached. StorageError if it does not let us."""
        told = None
        while True:
            try:
                return action()
            except RefusedError as problem:
                if problem.code != OUT_OF_RANGE:  # compacted while it was read
                    raise failure("cannot read", self.description, problem, _advice(problem)) from problem
            except (UnreachableError, UnansweredError) as problem:
                if not self._wait or getattr(problem, "for_good", False):
                    raise failure("cannot reach", self.description, problem, _where_to_look(problem)) from problem
                now = time.monotonic()
                if told is None or now - told >= TELL_SECONDS:
                    told = now
                    log.warning("waiting for %s: %s", self.description, problem)
            if self._closed.wait(RETRY_SECONDS):
                raise failure("cannot read", self.description, "the storage is closed", "open it again")

    # Words

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise failure("cannot use", self.description, "the storage is closed", "open it again")

    def _foreign(self, why: str) -> StorageError:
        return failure("cannot use", self.description, f"the prefix is not pyronym's: {why}", "give another one")

    def _half_done(self, revision: int) -> StorageError:
        why = f"etcd took it, at revision {revision}, but this node has not heard of it yet"
        return failure("half done in", self.description, why, "ask again in a moment")

    def _unchanged(self, why: object) -> StorageError:
        return UnchangedError(f"{self.description}: {why}; try again when etcd is back")
