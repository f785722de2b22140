"""The name server as an object of this process: the class that embedding programs make and call."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping, MutableMapping
from concurrent.futures import Future
from typing import Any, TypeVar, cast

from pyronym.rpc.exposed import expose
from pyronym.rpc.hosting import LongWork
from pyronym.serializers.outgoing import TextPairs
from pyronym.service import pyro4
from pyronym.service.commit import Deferral
from pyronym.service.feed import Subscriber
from pyronym.service.nameservice import NameService
from pyronym.service.requests import Answer, Listed
from pyronym.settings import Settings, config
from pyronym.storage.base import Storage
from pyronym.storage.mapping import storage_behind
from pyronym.storage.memory import MemoryStorage
from pyronym.uri import URI

T = TypeVar("T")


class NameServer:
    """Maps names to URIs and metadata tags.

    `storageProvider`: where the records survive; a MemoryStorage if none is given. Any MutableMapping of
    name -> (URI text, collection of tags) will do: it is read once, and then written with every change, before the
    caller hears of it. All methods may be called from any thread; those that change something return when the
    change is in the storage, and raise StorageError, with nothing changed, if it cannot be.
    """

    def __init__(
        self, storageProvider: MutableMapping[str, object] | Storage | None = None, *, settings: Settings | None = None
    ) -> None:
        self.storage = MemoryStorage() if storageProvider is None else storageProvider
        settings = settings or config.settings
        self.service = NameService(storage_behind(self.storage), settings)
        self._requests = pyro4.NameServer(self.service)

    def adopt(self, uri: URI, tags: frozenset[str]) -> None:
        """Register the daemon's own name server: from then on nobody can put another in its place."""
        self._wait(self.service.adopt(uri.asString(), tags))

    def close(self) -> None:
        """Close the storage, with all changes in it."""
        self.service.close()

    @expose
    def count(self) -> int:
        """The number of records."""
        return self._requests.count()

    @expose
    def lookup(self, name: str, return_metadata: bool = False) -> URI | tuple[URI, builtins.list[str]]:
        """The URI registered under `name`; with `return_metadata` a tuple of it and the list of tags.

        UnknownNameError if there is none.
        """
        return self._requests.lookup(name, return_metadata)  # type: ignore[return-value]  # this dialect has lists

    @expose
    def register(
        self,
        name: str,
        uri: str | URI,
        safe: bool = False,
        metadata: Iterable[str] | None = None,
        *,
        lease: float | None = None,
    ) -> dict[str, object] | None:
        """Register `uri` under `name`, in place of what is there; with `safe`, NameTakenError if anything is.

        With a `lease`, in seconds, the record is removed when it was not renewed for so long; then a dict is returned
        with the `id` of this registration, for `renew`. PyroError if `uri` is no URI, TypeError if an argument is of
        the wrong type, ValueError if one has an impossible value.
        """
        return self._wait(self._requests.register(name, uri, safe, metadata, lease))

    @expose
    def register_unique(
        self, prefix: str, uri: str | URI, metadata: Iterable[str] | None = None, *, lease: float | None = None
    ) -> str:
        """Register `uri` under a name that nobody else has: `prefix` and some letters and digits. The name."""
        return self._wait(self._requests.register_unique(prefix, uri, metadata, lease))

    @expose
    def renew(self, names: str | Iterable[str] | Mapping[str, str], lease: float | None = None) -> dict[str, object]:
        """Let the leases of records count anew: of these names, or of a dict of name -> id of the registration.

        `lease`: seconds that they last from now on, if that is to change. A dict of two lists: `unknown`, the names
        that have no record, and `taken`, those that stand for another registration or for one without a lease.
        """
        return self._wait(self._requests.renew(names, lease))

    @expose
    def watch(self, prefix: str = "", since: int | None = None, timeout: float = 30.0) -> dict[str, object]:
        """What happened to names with a prefix after the revision `since`; if that is nothing, wait for what happens
        next, for `timeout` seconds (60 at most). A dict as described in docs/leases.md. Blocks its thread: see
        `subscribe`.
        """
        return self._wait(self._requests.watch(prefix, since, timeout))  # type: ignore[arg-type]  # work is done, too

    def subscribe(self, subscriber: Subscriber) -> None:
        """Have a function of this process told of all changes from now on, in their order: it is given sequences of
        `pyronym.Event`. In a daemon it is called in the thread that serves that, and must not wait for anything;
        without a daemon it is called in the thread that makes the change.
        """
        self.service.subscribe(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Have it told of nothing any more."""
        self.service.unsubscribe(subscriber)

    @expose
    def status(self) -> dict[str, object]:
        """How this node is, for those who watch over it: docs/operating.md says what is in the dict."""
        return self._requests.status()

    @expose
    def nodes(self) -> builtins.list[dict[str, object]]:
        """The nodes of this name server, this one first, as dicts: docs/etcd.md says what is in them."""
        return self._requests.nodes()

    @expose
    def set_metadata(self, name: str, metadata: Iterable[str] | None) -> None:
        """Replace the tags of a record. UnknownNameError if there is none."""
        self._wait(self._requests.set_metadata(name, metadata))

    @expose
    def remove(self, name: str | None = None, prefix: str | None = None, regex: str | None = None) -> int:
        """Remove the record `name`, or all with a prefix, or all whose names match a regular expression from their
        beginning. The number of records removed. The name server's own record always stays.
        """
        return self._wait(self._requests.remove(name, prefix, regex))

    @expose
    def list(
        self,
        prefix: str | None = None,
        regex: str | None = None,
        metadata_all: Iterable[str] | None = None,
        metadata_any: Iterable[str] | None = None,
        return_metadata: bool = False,
    ) -> dict[str, object]:
        """Records as a dict of name -> URI text, or with `return_metadata` name -> (URI text, [tags]).

        At most one filter (else ValueError): names with exactly this prefix; names that match a regular expression from
        their beginning (BadPatternError if it is none, SlowPatternError if it takes longer than REGEX_TIMEOUT); records
        with all, or with any, of some tags.
        """
        found = self._requests.list(prefix, regex, metadata_all, metadata_any, return_metadata)
        listed = cast(Listed, self._wait(found))
        return listed.as_dict() if isinstance(listed, TextPairs) else listed

    @expose
    def liveness(self, prefix: str = "") -> dict[str, dict[str, object]]:
        """How the objects are, of all records or of those with a prefix, as the last round of probes has found them:
        name -> a dict with `state` and `seconds`, as docs/operating.md says.
        """
        return self._wait(self._requests.liveness(prefix))

    @expose
    def leases(self, prefix: str = "") -> dict[str, dict[str, object]]:
        """The leases of all records that have one, or of those with a prefix: name -> a dict with `seconds`,
        `ephemeral` and `left`, as docs/leases.md says.
        """
        return self._wait(self._requests.leases(prefix))

    @expose
    def ping(self) -> None:
        """Do nothing: that it returns shows that the name server works."""
        self._requests.ping()

    def _wait(self, answer: Answer[T] | Deferral[T]) -> T:
        """Do what is to be done, and wait for what is to be waited for."""
        outcome: Any = answer
        while isinstance(outcome, LongWork | Deferral | Future):
            if isinstance(outcome, LongWork):
                outcome = outcome.do()
            else:
                self.service.hurry()
                outcome = outcome.result()
        result: T = outcome
        return result
