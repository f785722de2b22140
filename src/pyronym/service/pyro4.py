"""The name server as Pyro4's clients know it."""

from __future__ import annotations

from collections.abc import Iterable

from pyronym.rpc.exposed import expose
from pyronym.service import requests
from pyronym.service.arguments import checked_pattern, checked_prefix, checked_tags
from pyronym.service.own_record import PYRO5_CLASS_TAG


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
    ) -> dict[str, object]:
        """Records as a dict of name -> URI text, or with `return_metadata` name -> (URI text, tags).

        At most one filter: names with a prefix, names that match a regular expression from their beginning, records
        with all or with any of some tags. An empty filter stands for none. ValueError if several are given.
        """
        filters = (prefix, regex, metadata_all, metadata_any)
        if sum(given is not None for given in filters) > 1:
            raise ValueError("you can only filter on one thing at a time")
        service = self._service
        if prefix:
            records = service.with_prefix(checked_prefix(prefix))
        elif regex:
            records = service.matching(checked_pattern(regex))
        elif metadata_all:
            records = service.with_all(checked_tags(metadata_all, "metadata_all"))
        elif metadata_any:
            records = service.with_any(checked_tags(metadata_any, "metadata_any"))
        else:
            records = service.everything()
        return self._listing(records, return_metadata)
