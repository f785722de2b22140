"""Changing the tags of a name while others may do so, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pyronym.client.proxy import Proxy
from pyronym.errors import NamingError

TRIES: Final = 20

Tags = frozenset[str]


def change_tags(name_server: Proxy, name: str, add: Tags, remove: Tags) -> Tags:
    """Add tags to those of a name, and take some away. What it has then.

    The name server knows no condition for that, so it is asked afterwards what has happened since the tags were read:
    where somebody else was between, his change is made good. A name server without a watch cannot tell. NamingError if
    there is no end of others' changes, UnknownNameError if there is no such name.
    """
    watched = name_server._pyroOffers("watch")
    since = name_server.watch(name, None, 0.0)["revision"] if watched else None
    tags = _tags(name_server.lookup(name, return_metadata=True)[1])
    for _ in range(TRIES):
        wanted = (tags | add) - remove
        name_server.set_metadata(name, sorted(wanted))
        if not watched:
            return wanted
        news = name_server.watch(name, since, 0.0)
        since = news["revision"]
        seen = [_tags(change["metadata"]) for change in news["changes"] if change["name"] == name]
        overlooked = _overlooked(seen, wanted, add, remove)
        if overlooked is None:
            return wanted if not seen else seen[-1]
        tags = overlooked
    raise NamingError(f"others go on changing the tags of {name} (try again, or use --set)")


def _overlooked(seen: Sequence[Tags], wanted: Tags, add: Tags, remove: Tags) -> Tags | None:
    """The tags that should have been changed instead, if others have changed them: before `wanted` was set, or after
    that without knowing of it. `seen` is all that they have been since they were read.
    """
    if wanted in seen and (place := seen.index(wanted)) > 0:
        return seen[place - 1]
    last = seen[-1] if seen else wanted
    return None if add <= last and remove.isdisjoint(last) else last


def _tags(tags: object) -> Tags:
    assert isinstance(tags, list | tuple | set | frozenset), "the name server answers with a collection"
    return frozenset(map(str, tags))
