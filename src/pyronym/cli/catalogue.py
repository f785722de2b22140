"""Asking name servers of all kinds what they have: pyronym's, and stock ones of both dialects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pyronym.client.proxy import Proxy
from pyronym.client.watching import Entry, names_listed
from pyronym.errors import NamingError
from pyronym.service.liveness import NOT_PROBED


@dataclass(frozen=True)
class Selection:
    """Which names: those that fulfil all of this."""

    prefix: str = ""
    regex: str | None = None
    """Names match it from their beginning."""
    tags: frozenset[str] = field(default=frozenset())
    """They have all of these."""
    any_tags: frozenset[str] = field(default=frozenset())
    """They have one of these, unless it is empty."""

    def takes(self, name: str, tags: frozenset[str]) -> bool:
        """Whether a name is among them, as far as that can be said without the regular expression."""
        return (
            name.startswith(self.prefix)
            and self.tags <= tags
            and (not self.any_tags or not self.any_tags.isdisjoint(tags))
        )


class Details(NamedTuple):
    """What pyronym's name servers know about a name beyond what it stands for. None: not known, or nothing to say."""

    state: str | None = None
    """As `liveness` tells it; None where it was not probed."""
    seconds: float | None = None
    """For how long the state has been so, if it is bad."""
    lease: float | None = None
    """Seconds of the lease."""
    left: float | None = None
    """Seconds until the name goes, if nobody renews it."""
    ephemeral: bool = False


UNKNOWN = Details()


def require(name_server: Proxy, method: str, what: str) -> None:
    """NamingError, if the name server does not have a method, and so not `what`."""
    if not name_server._pyroOffers(method):
        raise NamingError(f"{name_server._pyroUri} has no {what} (stock name servers do not; pyronym's do)")


def found(name_server: Proxy, selection: Selection) -> dict[str, Entry]:
    """The names of a selection, sorted."""
    listed = names_listed(_asked(name_server, selection))
    return {name: listed[name] for name in sorted(listed) if selection.takes(name, listed[name].metadata)}


def _asked(name_server: Proxy, selection: Selection) -> Any:
    """What the name server finds by itself. It takes one condition at a time, and the only one that cannot be tried
    here just as well is the regular expression.
    """
    if selection.regex:
        return name_server.list(regex=selection.regex, return_metadata=True)
    tags = selection.tags or selection.any_tags
    if not tags:
        return name_server.list(prefix=selection.prefix, return_metadata=True)
    which = "all" if selection.tags else "any"
    if name_server._pyroOffers("yplookup"):
        return name_server.yplookup(**{f"meta_{which}": sorted(tags)}, return_metadata=True)
    return name_server.list(**{f"metadata_{which}": sorted(tags)}, return_metadata=True)


def details(name_server: Proxy, prefix: str) -> Mapping[str, Details]:
    """What the name server knows about the names with a prefix, as far as it knows anything."""
    known: dict[str, Details] = {}
    if name_server._pyroOffers("liveness"):
        for name, state in name_server.liveness(prefix).items():
            if state["state"] != NOT_PROBED:
                known[name] = Details(state=state["state"], seconds=state["seconds"])
    if name_server._pyroOffers("leases"):
        for name, lease in name_server.leases(prefix).items():
            known[name] = known.get(name, UNKNOWN)._replace(
                lease=lease["seconds"], left=lease["left"], ephemeral=lease["ephemeral"]
            )
    return known
