"""Following the changes of a name server: what is asked for, and what its answers mean."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from pyronym.errors import NamingError, ProtocolError

Kind = Literal["registered", "updated", "removed", "expired"]
_KINDS: Final[tuple[Kind, ...]] = ("registered", "updated", "removed", "expired")

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 5.0
"""Seconds between two searches for a name server when there is none."""

Call = Callable[[str, Mapping[str, object]], Awaitable[Any]]
"""Calls a method of the name server, with keyword arguments."""


class Entry(NamedTuple):
    """What a name stands for."""

    uri: str
    metadata: frozenset[str]


Names = MutableMapping[str, Entry]


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `uri` is None, and `metadata` empty, when the name is gone: removed, or its lease expired.

    `revision`: that of the name server after it.
    """

    kind: Kind
    name: str
    uri: str | None
    metadata: frozenset[str]
    revision: int

    def apply(self, names: Names) -> None:
        """Make the change in `names`."""
        if self.uri is None:
            names.pop(self.name, None)
        else:
            names[self.name] = Entry(self.uri, self.metadata)


@dataclass(frozen=True, slots=True)
class Reset:
    """All that there is: what came before counts no more. The first of what a watch gives, and whenever changes were or
    may have been missed. `names`: all names with the prefix at this `revision`; changes that come next are later ones.
    """

    names: Mapping[str, Entry]
    revision: int

    def apply(self, names: Names) -> None:
        """Make `names` what there is."""
        names.clear()
        names.update(self.names)


Event = Change | Reset


class Position:
    """How far someone has got who follows the names with a prefix. Without `listing` a Reset has no names. With the
    revision `since` it goes on from there, and does not begin with a Reset.
    """

    def __init__(self, prefix: str, poll: float, listing: bool, since: int | None = None) -> None:
        self._prefix = prefix
        self._listing = listing
        self._poll = poll
        self._since = since

    async def next_events(self, call: Call) -> list[Event]:
        """What happened next, perhaps nothing yet; ends when the name server answers, so after `poll` seconds.

        All calls have to go to one node. Raises what `call` raises, and nothing is missed if it is called again, also
        with another node; NamingError when the name server has no watch.
        """
        if self._since is None:
            return [await self._everything(call)]
        news = await self._ask(call, self._since, self._poll)
        if news.reset:
            self._since = None
            return [await self._everything(call)]
        self._since = news.revision
        return list(news.changes)

    async def _everything(self, call: Call) -> Reset:
        """A listing does not say of which revision it is: the changes around it, made once more, lead to one."""
        while True:
            before = await self._ask(call, None, 0.0)
            if not self._listing:
                self._since = before.revision
                return Reset({}, before.revision)
            names = names_listed(await call("list", {"prefix": self._prefix, "return_metadata": True}))
            after = await self._ask(call, before.revision, 0.0)
            if not after.reset:
                break
        for change in after.changes:
            change.apply(names)
        self._since = after.revision
        return Reset(names, after.revision)

    async def _ask(self, call: Call, since: int | None, wait: float) -> _News:
        try:
            answer = await call("watch", {"prefix": self._prefix, "since": since, "timeout": wait})
        except AttributeError as problem:
            raise NamingError("the name server has no watch (stock ones do not; pyronym's does)") from problem
        return _news(answer)


class _News(NamedTuple):
    revision: int
    changes: list[Change]
    reset: bool


def _news(answer: object) -> _News:
    match answer:
        case {"revision": int(revision), "changes": [*changes], "reset": bool(reset)}:
            return _News(revision, list(map(_change, changes)), reset)
    raise ProtocolError(f"the name server's answer to watch is {answer!r:.200} (expected revision, changes and reset)")


def _change(change: object) -> Change:
    match change:
        case {
            "kind": str(kind),
            "name": str(name),
            "uri": str() | None as uri,
            "metadata": list() | tuple() | set() as metadata,
            "revision": int(revision),
        } if kind in _KINDS:
            gone = kind in ("removed", "expired")
            return Change(kind, name, None if gone else uri, frozenset() if gone else frozenset(metadata), revision)
    raise ProtocolError(
        f"a change of the name server is {change!r:.200} (expected kind, name, uri, metadata, revision)"
    )


def names_listed(answer: object) -> dict[str, Entry]:
    """The names of a name server's answer to `list` with metadata. ProtocolError if it is none."""
    if not isinstance(answer, dict):
        raise ProtocolError(f"the name server's list is a {type(answer).__name__} (expected a dict)")
    return {name: Entry(str(uri), frozenset(metadata)) for name, (uri, metadata) in answer.items()}


def pauses() -> Iterator[float]:
    """Seconds to wait between tries, longer each time. Not the same for all, who lost their name server together."""
    pause = _FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, protects nothing
        pause = min(2 * pause, _LONGEST_PAUSE)
