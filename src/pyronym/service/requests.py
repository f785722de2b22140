"""What the name server does for its clients, whatever their dialect: check the arguments, ask the service, show
each client its own view of the result.

Methods that change something return an Outcome: the value itself where the storage is memory, otherwise a future
that is done when the change is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pyronym.directory.record import Record
from pyronym.errors import UnknownNameError
from pyronym.rpc.exposed import expose
from pyronym.rpc.hosting import Address
from pyronym.service.arguments import checked_name, checked_pattern, checked_prefix, checked_uri, storable
from pyronym.service.nameservice import NameService, Outcome
from pyronym.service.own_record import seen_by
from pyronym.uri import URI


class NameServer:
    """The operations that both dialects share, for one client. The subclasses add the rest.

    Named like the stock class: Python's own errors about wrong arguments carry the name of the class.

    `foreign_tag` is the metadata tag by which only clients of the other dialect know a name server.
    """

    foreign_tag: str
    collect_tags: Callable[[Iterable[str]], object]
    """Makes the collection that this dialect returns tags in."""

    def __init__(self, service: NameService, local: Address = None) -> None:
        self._service = service
        self._local = local

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
        return self._service.register(name, text, self._given_tags(metadata), safe=bool(safe))

    @expose
    def set_metadata(self, name: str, metadata: Iterable[str] | None) -> Outcome[None]:
        """Replace the tags of a record. UnknownNameError if there is none."""
        return self._service.set_metadata(checked_name(name), self._given_tags(metadata))

    def _remove_many(self, prefix: str | None, regex: str | None) -> Outcome[int]:
        if prefix:
            return self._service.remove_prefix(checked_prefix(prefix))
        if regex:
            return self._service.remove_matching(checked_pattern(regex))
        return 0

    def _given_tags(self, metadata: Iterable[str] | None) -> frozenset[str]:
        """The tags of a registration. What stands for none differs between the dialects."""
        raise NotImplementedError

    def _view(self, record: Record) -> Record:
        return seen_by(record, self._local, self.foreign_tag)

    def _listing(self, records: Iterable[Record], return_metadata: bool) -> dict[str, object]:
        """Records as they are listed: name -> URI text, or name -> (URI text, tags)."""
        if return_metadata:
            return {
                record.name: (record.uri, self.collect_tags(record.metadata)) for record in map(self._view, records)
            }
        return {record.name: record.uri for record in map(self._view, records)}
