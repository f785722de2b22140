"""Following a name server in a command: what happens, and that it is lost for a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pyronym.cli.where import Where
from pyronym.client.blocking import BLOCKING
from pyronym.client.following import Follower
from pyronym.client.network import run
from pyronym.client.watching import Event, pauses
from pyronym.errors import CommunicationError, NameServerNotFoundError


class Lost(NamedTuple):
    """The name server does not answer at the moment. It is looked for again."""

    why: str


def follow(
    where: Where, prefix: str, *, poll: float, listing: bool, since: int | None = None
) -> Iterator[Sequence[Event] | Lost]:
    """What happens to the names with a prefix, without end: events, or none when `poll` seconds have brought nothing.
    While the name server is lost, that it is.

    `listing` and `since` as `client.watching.Position` says. Raises NameServerNotFoundError if there is none to begin
    with, NamingError if it has no watch.
    """
    follower = Follower(BLOCKING, where.all_nodes(), prefix, poll, listing=listing, since=since)
    waits = pauses()
    try:
        while True:
            try:
                events = run(follower.next_events())
            except (CommunicationError, NameServerNotFoundError) as problem:
                yield Lost(str(problem))
                time.sleep(next(waits))
            else:
                waits = pauses()
                yield events
    finally:
        follower.close()
