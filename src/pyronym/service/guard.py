"""The name service as one client may use it: what it may not do is refused, and what it changes is taken down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias, TypeVar

from pyronym.directory.record import Change, Lease, Record
from pyronym.errors import PyroError, SecurityError
from pyronym.service.leasing import Holder, Renewal
from pyronym.service.nameservice import NameService
from pyronym.service.permissions import READ, REMOVE, Grant
from pyronym.service.pipeline import Note, Outcome, waited_for
from pyronym.service.watches import News, Watch

T = TypeVar("T")

Audit: TypeAlias = Callable[[dict[str, object]], object]
"""Takes a line of the audit log. It must not wait for anything."""


class Guard:
    """Has the methods of `service` that clients need, for the client with this `grant`.

    They raise SecurityError where the client may not do what it asks for. Searches show what it may read. `audit` is
    told of all changes, and of all that was refused; `witness` of all registrations. `address` says where the client
    is.
    """

    def __init__(
        self, service: NameService, grant: Grant, address: str, audit: Audit | None, witness: Note | None = None
    ) -> None:
        self._service = service
        self._grant = grant
        self._address = address
        self._audit = audit
        self._witness = witness
        self.count = service.count
        self.new_lease = service.new_lease
        self.disconnect = service.disconnect
        self.discard = service.discard
        self.state_of = service.state_of
        self.remaining = service.remaining
        self.nodes = service.nodes
        self.missed_since = service.missed_since
        self.page = service.page
        self.count_with_prefix = service.count_with_prefix
        self.reads_everything = grant.reads_everything
        """Whether the client may see all names. `page` and `count_with_prefix` are for such clients only."""

    # Reading

    def __contains__(self, name: str) -> bool:
        # Where the client may not know, it has to ask for the change itself, which is then refused.
        return not self._grant.may(REMOVE, name) or name in self._service

    def get(self, name: str) -> Record | None:
        """As the service's."""
        if not self._grant.reads_everything:
            with self._denials("lookup", name=name):
                self._grant.check_read(name)
        return self._service.get(name)

    def report(self) -> dict[str, object]:
        """As the service's."""
        self.check_status()
        return self._service.report()

    def check_status(self) -> None:
        """SecurityError if the client may not know how the name server is."""
        with self._denials("status"):
            self._grant.check_status()

    def everything(self) -> list[Record]:
        """As the service's."""
        return self._visible(self._service.everything())

    def with_prefix(self, prefix: str) -> list[Record]:
        """As the service's."""
        return self._visible(self._service.with_prefix(prefix))

    def matching(self, regex: str, use: Callable[[Iterable[Record]], T]) -> T | Future[T]:
        """As the service's."""
        return self._service.matching(regex, lambda records: use(self._visible(records)))

    def with_all(self, tags: frozenset[str]) -> list[Record]:
        """As the service's."""
        return self._visible(self._service.with_all(tags))

    def with_any(self, tags: frozenset[str]) -> list[Record]:
        """As the service's."""
        return self._visible(self._service.with_any(tags))

    def watch(
        self,
        prefix: str,
        since: int | None,
        timeout: float,
        show: Callable[[News], T],
        *,
        client: str | None = None,
    ) -> T | Watch[T]:
        """As the service's, of names that the client may read."""
        sees = None if self._grant.reads_everything else partial(self._grant.may, READ)
        return self._service.watch(prefix, since, timeout, show, sees=sees, client=client)

    # Changing

    def register(
        self,
        name: str,
        uri: str,
        tags: frozenset[str],
        *,
        safe: bool = False,
        expected: Record | None = None,
        lease: Lease | None = None,
        answer: Any = None,
    ) -> Outcome[Any]:
        """As the service's."""
        with self._denials("register", name=name, uri=uri, tags=sorted(tags)):
            return self._register(name, uri, tags, safe=safe, expected=expected, lease=lease, answer=answer)

    def register_all(self, records: Sequence[Record]) -> Outcome[bool]:
        """As the service's: False, because each is allowed, counted and taken down on its own."""
        return False

    def renew(
        self, names: Mapping[str, str | None], seconds: float | None, holder: Holder, show: Callable[[Renewal], T]
    ) -> Outcome[T]:
        """As the service's. If one of the names may not be renewed, none is."""
        with self._denials("renew", names=sorted(names)):
            return self._service.renew(names, seconds, holder, show, grant=self._grant, note=self._note("renew"))

    def set_metadata(self, name: str, tags: frozenset[str], *, expected: Record | None = None) -> Outcome[None]:
        """As the service's."""
        note = self._note("set_metadata")
        with self._denials("set_metadata", name=name, tags=sorted(tags)):
            return self._service.set_metadata(name, tags, expected=expected, grant=self._grant, note=note)

    def remove(self, names: Sequence[str], *, expected: Record | None = None) -> Outcome[int]:
        """As the service's. If one of the names may not be removed, none is."""
        with self._denials("remove", name=names[0] if len(names) == 1 else None):
            return self._remove(names, expected)

    def remove_prefix(self, prefix: str) -> Outcome[int]:
        """As the service's, of the records that the client may read. If one may not be removed, none is."""
        with self._denials("remove", prefix=prefix):
            return self._remove([record.name for record in self.with_prefix(prefix)])

    def remove_matching(self, regex: str) -> int | Future[int]:
        """As `remove_prefix`, and waits for it. As `matching`."""

        def remove(records: Iterable[Record]) -> int:
            with self._denials("remove", regex=regex):
                return waited_for(self._remove([record.name for record in records]))

        return self.matching(regex, remove)

    # For those who have another way to tell what may not be read: the straight road leaves it to the general one

    @property
    def straight_get(self) -> Callable[[str], Record | None]:
        """`get`, with None for what the client may not read. Costs nothing for clients that may read everything."""
        return self._service.get if self._grant.reads_everything else self._get_if_readable

    def straight_register(self, name: str, uri: str, tags: frozenset[str], *, safe: bool = False) -> Outcome[None]:
        """`register`, without taking down that it is refused: the general road will."""
        return self._register(name, uri, tags, safe=safe)

    def _get_if_readable(self, name: str) -> Record | None:
        return self._service.get(name) if self._grant.may(READ, name) else None

    def _register(
        self,
        name: str,
        uri: str,
        tags: frozenset[str],
        *,
        safe: bool,
        expected: Record | None = None,
        lease: Lease | None = None,
        answer: Any = None,
    ) -> Outcome[Any]:
        note = self._note("register", self._witness)
        return self._service.register(
            name, uri, tags, safe=safe, expected=expected, lease=lease, answer=answer, grant=self._grant, note=note
        )

    def _remove(self, names: Iterable[str], expected: Record | None = None) -> Outcome[int]:
        return self._service.remove(names, expected=expected, grant=self._grant, note=self._note("remove"))

    def _visible(self, records: Iterable[Record]) -> list[Record]:
        if self._grant.reads_everything:
            return list(records)
        return [record for record in records if self._grant.may(READ, record.name)]

    # Taking down

    @contextmanager
    def _denials(self, action: str, **asked: object) -> Iterator[None]:
        try:
            yield
        except SecurityError as problem:
            self._take_down(action, {"outcome": "denied", **asked, "why": str(problem)})
            raise

    def _note(self, action: str, witness: Note | None = None) -> Note | None:
        return witness if self._audit is None else partial(self._settled, action, witness)

    def _settled(self, action: str, witness: Note | None, changes: Sequence[Change], error: PyroError | None) -> None:
        for about in told(changes, error):
            self._take_down(action, about)
        if witness is not None:
            witness(changes, error)

    def _take_down(self, action: str, about: Mapping[str, object]) -> None:
        if self._audit is not None:
            self._audit({"who": self._grant.principal, "from": self._address, "what": action, **about})


def told(changes: Sequence[Change], error: PyroError | None) -> Iterator[dict[str, object]]:
    """What the audit log has to say of each change that is durable, or has failed."""
    for change in changes:
        about: dict[str, object] = {"outcome": "done" if error is None else "failed", "name": change.name}
        if change.record is not None:
            about |= {"uri": change.record.uri, "tags": sorted(change.record.metadata)}
        if error is not None:
            about["why"] = str(error)
        yield about
