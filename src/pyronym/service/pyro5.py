"""The name server as Pyro5's clients know it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from pyronym.rpc.exposed import expose
from pyronym.service import requests
from pyronym.service.arguments import checked_name, checked_prefix, checked_tags
from pyronym.service.own_record import PYRO4_CLASS_TAG
from pyronym.service.requests import Answer, Listed
from pyronym.uri import NAMESERVER_NAME


class NameServer(requests.NameServer):
    """Pyro5's dialect: `list` for names, `yplookup` for tags, tags as sets."""

    foreign_tag = PYRO4_CLASS_TAG
    collect_tags = set

    @expose
    def list(
        self, prefix: str | None = None, regex: str | None = None, return_metadata: bool = False
    ) -> Answer[Listed]:
        """Records as a dict of name -> URI text, or with `return_metadata` name -> (URI text, tags).

        At most one filter: names with a prefix, or names that match a regular expression from their beginning.
        ValueError if both are given.
        """
        if prefix and regex:
            raise ValueError("you can only filter on one thing at a time")
        if prefix:
            find = partial(self._service.with_prefix, checked_prefix(prefix))
        elif regex:
            return self._matching(regex, return_metadata)
        else:
            find = partial(self._service.everything)
        return self._listing(find, return_metadata)

    @expose
    def yplookup(
        self,
        meta_all: Iterable[str] | None = None,
        meta_any: Iterable[str] | None = None,
        return_metadata: bool = True,
    ) -> Answer[Listed]:
        """Records that have all, or any, of some tags; none at all if no tags are given. ValueError if both are."""
        if meta_all and meta_any:
            raise ValueError("you can't use meta_all or meta_any at the same time")
        if meta_all:
            tags = checked_tags(meta_all, "metadata_all")
            return self._listing(partial(self._service.with_all, tags), return_metadata)
        if meta_any:
            tags = checked_tags(meta_any, "metadata_any")
            return self._listing(partial(self._service.with_any, tags), return_metadata)
        return {}

    @expose
    def remove(self, name: str | None = None, prefix: str | None = None, regex: str | None = None) -> Answer[int]:
        """Remove the record `name`, or without a name all with a prefix, or all whose names match a regular expression
        from their beginning. The number of records removed; the name server itself always stays.
        """
        if name and checked_name(name) != NAMESERVER_NAME:
            return self._service.remove([name])
        return self._remove_many(prefix, regex)

    def _given_tags(self, metadata: Iterable[str] | None) -> frozenset[str]:
        return checked_tags(() if metadata is None else metadata)
