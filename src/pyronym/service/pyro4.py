"""The name server as Pyro4's clients know it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from pyronym.rpc.exposed import expose
from pyronym.service import requests
from pyronym.service.arguments import checked_name, checked_prefix, checked_tags
from pyronym.service.own_record import PYRO5_CLASS_TAG
from pyronym.service.requests import Answer, Listed
from pyronym.uri import NAMESERVER_NAME


class NameServer(requests.NameServer):
    """Pyro4's dialect: one `list` for all searches, tags as lists."""

    foreign_tag = PYRO5_CLASS_TAG
    collect_tags = staticmethod(sorted)

    @expose
    def list(
        self,
        prefix: str | None = None,
        regex: str | None = None,
        metadata_all: Iterable[str] | None = None,
        metadata_any: Iterable[str] | None = None,
        return_metadata: bool = False,
    ) -> Answer[Listed]:
        """Records as a dict of name -> URI text, or with `return_metadata` name -> (URI text, tags).

        At most one filter: names with a prefix, names that match a regular expression from their beginning, records
        with all or with any of some tags. An empty filter stands for none. ValueError if several are given.
        """
        filters = (prefix, regex, metadata_all, metadata_any)
        if sum(given is not None for given in filters) > 1:
            raise ValueError("you can only filter on one thing at a time")
        service = self._service
        if prefix:
            find = partial(service.with_prefix, checked_prefix(prefix))
        elif regex:
            return self._matching(regex, return_metadata)
        elif metadata_all:
            find = partial(service.with_all, checked_tags(metadata_all, "metadata_all"))
        elif metadata_any:
            find = partial(service.with_any, checked_tags(metadata_any, "metadata_any"))
        else:
            find = partial(service.everything)
        return self._listing(find, return_metadata)

    @expose
    def remove(self, name: str | None = None, prefix: str | None = None, regex: str | None = None) -> Answer[int]:
        """Remove the record `name`; if there is none, all with a prefix, or all whose names match a regular expression
        from their beginning. The number of records removed; the name server itself always stays.
        """
        if name and checked_name(name) != NAMESERVER_NAME and name in self._service:
            return self._service.remove([name])
        return self._remove_many(prefix, regex)

    def _given_tags(self, metadata: Iterable[str] | None) -> frozenset[str]:
        return checked_tags(metadata if metadata or isinstance(metadata, str) else ())
