"""What the name server does for its clients, whatever their dialect: check the arguments, ask the service, show
each client its own view of the result.

Methods that change something return an Outcome: the value itself where the storage is memory, otherwise a future
that is done when the change is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from typing import Final, TypeAlias, TypeVar

from pyronym.directory.record import Record
from pyronym.errors import UnknownNameError
from pyronym.rpc.exposed import expose
from pyronym.rpc.hosting import Address, LongWork
from pyronym.service.arguments import (
    check_length,
    check_tags,
    checked_name,
    checked_prefix,
    checked_regex,
    checked_uri,
    storable,
)
from pyronym.service.guard import Guard
from pyronym.service.nameservice import NameService, Outcome
from pyronym.service.own_record import seen_by
from pyronym.settings import Settings, config
from pyronym.uri import URI

T = TypeVar("T")
Answer: TypeAlias = Outcome[T] | LongWork[Outcome[T] | Future[T]]

MANY_NAMES: Final = 200
"""With more names, whatever looks through them is done in a worker thread: to list 200,000 names takes a second, in
which others want to be served, and 300 clients who list 1500 together as much. A hop to a worker and back takes 0.1
milliseconds."""


class NameServer:
    """The operations that both dialects share, for one client. The subclasses add the rest.

    Named like the stock class: Python's own errors about wrong arguments carry the name of the class.

    `foreign_tag` is the metadata tag by which only clients of the other dialect know a name server.
    """

    foreign_tag: str
    collect_tags: Callable[[Iterable[str]], object]
    """Makes the collection that this dialect returns tags in."""

    def __init__(
        self,
        service: NameService | Guard,
        local: Address = None,
        own_uri: URI | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._service = service
        self._local = local
        self._own_uri = own_uri
        self._settings = settings or config.settings

    @expose
    def ping(self) -> None:
        """Do nothing: that it returns shows that the name server works."""

    @expose
    def count(self) -> int:
        """The number of records."""
        return self._service.count()

    @expose
    def lookup(self, name: str, return_metadata: bool = False) -> URI | tuple[URI, object]:
        """The URI registered under `name`, with `return_metadata` also the tags. UnknownNameError if there is none."""
        record = self._service.get(checked_name(name))
        if record is None:
            raise UnknownNameError(name)
        record = self._view(record)
        if return_metadata:
            return URI(record.uri), self.collect_tags(record.metadata)
        return URI(record.uri)

    @expose
    def register(
        self, name: str, uri: str | URI, safe: bool = False, metadata: Iterable[str] | None = None
    ) -> Outcome[None]:
        """Register `uri` under `name`, in place of what is there; with `safe`, NameTakenError if anything is."""
        text = checked_uri(uri)
        name = storable(checked_name(name), "name")
        check_length(name, "name", self._settings.max_name_length)
        check_length(text, "uri", self._settings.max_name_length)
        return self._service.register(name, text, self._new_tags(metadata), safe=bool(safe))

    @expose
    def set_metadata(self, name: str, metadata: Iterable[str] | None) -> Outcome[None]:
        """Replace the tags of a record. UnknownNameError if there is none."""
        return self._service.set_metadata(checked_name(name), self._new_tags(metadata))

    @expose
    def liveness(self, prefix: str = "") -> Answer[dict[str, dict[str, object]]]:
        """How the objects are, of all records or of those with a prefix: name -> a dict with the keys ``state`` and
        ``seconds``. The state is one of `service.liveness.STATES`, as the last round of probes has found it; the
        seconds are how long it has been so, None where nothing is wrong.
        """
        find = partial(self._service.with_prefix, checked_prefix(prefix)) if prefix else self._service.everything

        def states() -> dict[str, dict[str, object]]:
            return {record.name: self._service.state_of(record)._asdict() for record in find()}

        return self._bounded(states)

    def _remove_many(self, prefix: str | None, regex: str | None) -> Answer[int]:
        if prefix:
            return self._bounded(partial(self._service.remove_prefix, checked_prefix(prefix)))
        if regex:
            return LongWork(partial(self._service.remove_matching, checked_regex(regex)))
        return 0

    def _bounded(self, work: Callable[[], T]) -> T | LongWork[T]:
        """The result of `work`, or the work itself where there are so many names that it may take long."""
        return work() if self._service.count() <= MANY_NAMES else LongWork(work)

    def _new_tags(self, metadata: Iterable[str] | None) -> frozenset[str]:
        tags = self._given_tags(metadata)
        check_tags(tags, self._settings)
        return tags

    def _given_tags(self, metadata: Iterable[str] | None) -> frozenset[str]:
        """The tags of a registration. What stands for none differs between the dialects."""
        raise NotImplementedError

    def _view(self, record: Record) -> Record:
        return seen_by(record, self._local, self.foreign_tag, self._own_uri)

    def _listing(self, find: Callable[[], Iterable[Record]], return_metadata: bool) -> Answer[dict[str, object]]:
        return self._bounded(lambda: self._as_listed(return_metadata, find()))

    def _matching(self, regex: str, return_metadata: bool) -> Answer[dict[str, object]]:
        """The records that match, as they are listed. However few names there are: nobody knows how long it takes."""
        show = partial(self._as_listed, return_metadata)
        return LongWork(partial(self._service.matching, checked_regex(regex), show))

    def _as_listed(self, return_metadata: bool, found: Iterable[Record]) -> dict[str, object]:
        """name -> URI text, or name -> (URI text, tags)."""
        records = map(self._view, found)
        if return_metadata:
            return {record.name: (record.uri, self.collect_tags(record.metadata)) for record in records}
        return {record.name: record.uri for record in records}
