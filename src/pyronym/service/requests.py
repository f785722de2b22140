"""What the name server does for its clients, whatever their dialect: check the arguments, ask the service, show
each client its own view of the result.

Methods that change something return an Outcome: the value itself where the storage is memory, otherwise a future
that is done when the change is durable.
"""

from __future__ import annotations

import builtins
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final, TypeAlias, TypeVar

from pyronym.directory.record import Event, Lease, Record
from pyronym.errors import NameTakenError, UnknownNameError
from pyronym.rpc.exposed import expose
from pyronym.rpc.hosting import Address, LongWork
from pyronym.serializers.outgoing import TextPairs
from pyronym.service.arguments import (
    check_length,
    check_tags,
    checked_lease,
    checked_name,
    checked_names,
    checked_prefix,
    checked_regex,
    checked_since,
    checked_timeout,
    checked_uri,
    storable,
)
from pyronym.service.guard import Guard
from pyronym.service.leasing import Holder, Renewal
from pyronym.service.nameservice import NameService
from pyronym.service.own_record import seen_by
from pyronym.service.pipeline import Outcome
from pyronym.service.watches import News, Watch
from pyronym.settings import Settings, config
from pyronym.uri import NAMESERVER_NAME, URI

T = TypeVar("T")
Answer: TypeAlias = Outcome[T] | LongWork[Outcome[T] | Future[T]]
Listed: TypeAlias = dict[str, object] | TextPairs
"""Names with what was asked for: a dict for clients, however it is made."""
Told: TypeAlias = dict[str, object] | LongWork[dict[str, object]]
"""What a watcher is told, or the work of making it."""

MANY_NAMES: Final = 200
"""With more names, whatever looks through them is done in a worker thread: to list 200,000 names takes a second, in
which others want to be served, and 300 clients who list 1500 together as much. A hop to a worker and back takes 0.1
milliseconds."""

MANY_EVENTS: Final = 50
"""To look through more, or to tell of more, is done in a worker thread: 1000 of them take 8 milliseconds."""

MAX_WATCH_SECONDS: Final = 60.0
"""A watch waits no longer, whatever its caller wants: he may be gone without a word."""

UNIQUE_BYTES: Final = 6
"""Of randomness in a name that the server makes, two digits each: a billion of them have one in common by a chance of
one in 600."""


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
        client: str | None = None,
    ) -> None:
        self._service = service
        self._local = local
        self._own_uri = own_uri
        self._settings = settings or config.settings
        self._client = client
        self._holder = Holder()
        self._watch: Watch[Told] | None = None
        self._gone = False

    def disconnected(self) -> None:
        """The client has gone."""
        self._gone = True
        if self._watch is not None:
            self._service.discard(self._watch)
        self._service.disconnect(self._holder)

    def plain_record(
        self,
        name: str,
        uri: str | URI,
        safe: bool = False,
        metadata: Iterable[str] | None = None,
        lease: float | None = None,
        ephemeral: bool = False,
    ) -> Record | None:
        """What `register` with these arguments would register; None where it would do more than that. It raises what
        `register` would.
        """
        return None if safe or lease is not None or ephemeral else self._record(name, uri, metadata)

    def register_all(self, records: Sequence[Record]) -> Outcome[bool]:
        """As the service's."""
        return self._service.register_all(records)

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
        self,
        name: str,
        uri: str | URI,
        safe: bool = False,
        metadata: Iterable[str] | None = None,
        lease: float | None = None,
        ephemeral: bool = False,
    ) -> Outcome[dict[str, object] | None]:
        """Register `uri` under `name`, in place of what is there; with `safe`, NameTakenError if anything is.

        With a `lease`, in seconds, the record is removed when it was not renewed for so long. An `ephemeral` one is
        removed when this connection has ended, unless another one renews it within EPHEMERAL_GRACE seconds. Then the
        answer is a dict with the `name`, the `id` of this registration, for `renew`, its `lease`, and `ephemeral`.
        """
        name, text, tags, _, _ = self._record(name, uri, metadata)
        given = self._new_lease(checked_lease(lease), ephemeral)
        answer = given and _granted(name, given)
        return self._service.register(name, text, tags, safe=bool(safe), lease=given, answer=answer)

    @expose
    def register_unique(
        self,
        prefix: str,
        uri: str | URI,
        metadata: Iterable[str] | None = None,
        lease: float | None = None,
        ephemeral: bool = False,
    ) -> Outcome[str]:
        """Register `uri` under a name that nobody else has: `prefix` and some letters and digits. The name.

        `lease` and `ephemeral` as for `register`; such a record is renewed by its name.
        """
        text = checked_uri(uri)
        prefix = storable(checked_prefix(prefix), "prefix")
        seconds = checked_lease(lease)
        tags = self._new_tags(metadata)
        while True:
            name = prefix + secrets.token_hex(UNIQUE_BYTES)
            self._check_lengths(name, text)
            given = self._new_lease(seconds, ephemeral)
            try:
                return self._service.register(name, text, tags, safe=True, lease=given, answer=name)
            except NameTakenError:
                continue

    @expose
    def renew(
        self, names: str | Iterable[str] | Mapping[str, str], lease: float | None = None
    ) -> Outcome[dict[str, object]]:
        """Let the leases of records count anew: of these names, or of a dict of name -> id of the registration, which
        leaves those of others alone. `lease`: seconds that they last from now on, if that is to change.

        A dict of two lists: `unknown`, the names that have no record, and `taken`, those that stand for another
        registration or for one without a lease. If one of the names may not be renewed, none is.
        """
        return self._service.renew(checked_names(names), checked_lease(lease), self._holder, _renewed)

    @expose
    def watch(
        self, prefix: str = "", since: int | None = None, timeout: float = 30.0
    ) -> Told | Watch[Told] | LongWork[Told | Watch[Told]]:
        """What happened to names with a prefix after the revision `since`; if that is nothing, what happens next, or
        nothing, after `timeout` seconds (60 at most).

        A dict: `revision`, to ask from the next time; `changes`, dicts in the order of their `revision` with `kind`
        (registered, updated, removed or expired), `name`, `uri` and `metadata`, the last ones where it is gone. Where
        `reset` is true, too much has happened since, or in another name server: list what there is, and watch from this
        revision on. Without `since` the answer comes at once, with the present revision.
        """
        since, seconds = checked_since(since), min(checked_timeout(timeout), MAX_WATCH_SECONDS)
        begin = partial(self._begin_watch, checked_prefix(prefix), since, seconds)
        if since is not None and self._service.missed_since(since) > MANY_EVENTS:
            return LongWork(begin)
        return begin()

    def _begin_watch(self, prefix: str, since: int | None, seconds: float) -> Told | Watch[Told]:
        outcome = self._service.watch(prefix, since, seconds, self._told, client=self._client)
        self._watch = outcome if isinstance(outcome, Watch) else None
        if self._gone and self._watch is not None:  # while this was looking through what it had missed
            self._service.discard(self._watch)
        return outcome

    @expose
    def nodes(self) -> builtins.list[dict[str, object]]:
        """The nodes of this name server: the one that was asked first. Each as a dict: `id`, `address` (as for
        `locateNS`), `self` (whether it is this one), `state` (ok, stale; up for the others), `revision`, `records`,
        `stale_since`, `lag` (None for the others), `host`, `pid`, `version` and `started`. Times are in seconds.
        """
        own, *others = self._service.nodes()
        return [self._addressed(own), *others]

    @expose
    def status(self) -> dict[str, object]:
        """How this node is, for those who watch over it: docs/operating.md says what is in the dict."""
        return self._addressed(self._service.report())

    def _addressed(self, about: dict[str, object]) -> dict[str, object]:
        """What is told about this node, with the address that this client can reach."""
        record = self._service.get(NAMESERVER_NAME)
        if record is not None:
            about["address"] = str(URI(self._view(record).uri).location)
        return about

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
        find = self._with_prefix(prefix)

        def states() -> dict[str, dict[str, object]]:
            return {record.name: self._service.state_of(record)._asdict() for record in find()}

        return self._bounded(states)

    @expose
    def leases(self, prefix: str = "") -> Answer[dict[str, dict[str, object]]]:
        """The leases of all records that have one, or of those with a prefix: name -> a dict with `seconds`, how long
        it is (None where it ends with a connection only), `ephemeral`, and `left`: after how many seconds the record
        goes, as far as this node knows now, else None.
        """
        find = self._with_prefix(prefix)

        def running() -> dict[str, dict[str, object]]:
            return {
                record.name: {
                    "seconds": record.lease.seconds,
                    "ephemeral": record.lease.ephemeral,
                    "left": self._service.remaining(record.name),
                }
                for record in find()
                if record.lease is not None
            }

        return self._bounded(running)

    def _with_prefix(self, prefix: str) -> Callable[[], Iterable[Record]]:
        return partial(self._service.with_prefix, checked_prefix(prefix)) if prefix else self._service.everything

    def _record(self, name: str, uri: str | URI, metadata: Iterable[str] | None) -> Record:
        text = checked_uri(uri)
        name = storable(checked_name(name), "name")
        self._check_lengths(name, text)
        return Record(name, text, self._new_tags(metadata))

    def _new_lease(self, seconds: float | None, ephemeral: bool) -> Lease | None:
        if seconds is None and not ephemeral:
            return None
        return self._service.new_lease(seconds, self._holder if ephemeral else None)

    def _check_lengths(self, name: str, uri: str) -> None:
        check_length(name, "name", self._settings.max_name_length)
        check_length(uri, "uri", self._settings.max_name_length)

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

    def _told(self, news: News) -> Told:
        return self._news(news) if len(news.events) <= MANY_EVENTS else LongWork(partial(self._news, news))

    def _news(self, news: News) -> dict[str, object]:
        changes = [self._change(event) for event in news.events]
        return {"revision": news.revision, "changes": changes, "reset": news.reset}

    def _change(self, event: Event) -> dict[str, object]:
        record = self._view(event.record)
        return {
            "kind": event.kind,
            "name": record.name,
            "uri": record.uri,
            "metadata": self.collect_tags(record.metadata),
            "revision": event.revision,
        }

    def _listing(self, find: Callable[[], Iterable[Record]], return_metadata: bool) -> Answer[Listed]:
        return self._bounded(lambda: self._as_listed(return_metadata, find()))

    def _matching(self, regex: str, return_metadata: bool) -> Answer[Listed]:
        """The records that match, as they are listed. However few names there are: nobody knows how long it takes."""
        show = partial(self._as_listed, return_metadata)
        return LongWork(partial(self._service.matching, checked_regex(regex), show))

    def _as_listed(self, return_metadata: bool, found: Iterable[Record]) -> Listed:
        """name -> URI text, or name -> (URI text, tags)."""
        # Only one record is not the same for everyone. To ask `_view` for each of 200,000 took 50 milliseconds.
        view = self._view
        records = [view(record) if record.name == NAMESERVER_NAME else record for record in found]
        if return_metadata:
            return {name: (uri, self.collect_tags(tags)) for name, uri, tags, _, _ in records}
        return TextPairs(records)


def _granted(name: str, lease: Lease) -> dict[str, object]:
    return {"name": name, "id": lease.id, "lease": lease.seconds, "ephemeral": lease.ephemeral}


def _renewed(renewal: Renewal) -> dict[str, object]:
    return {"unknown": renewal.unknown, "taken": renewal.taken}
