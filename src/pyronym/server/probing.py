"""Rounds of probes: the daemons of all records are asked for their objects, and the records of those that are gone go.

This runs on the loop of the server, between the requests of its clients: whatever grows with the number of names is
done in slices. What is decided is decided in `service.liveness`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from pyronym.directory.record import Change, Record
from pyronym.errors import PyroError
from pyronym.rpc.hosting import Peer
from pyronym.rpc.offences import Offence
from pyronym.server.limits import Offences
from pyronym.server.probe import Prober
from pyronym.server.workers import Workers
from pyronym.service.liveness import Expected, Liveness, State, Suspect, is_loopback
from pyronym.service.nameservice import NameService
from pyronym.service.pipeline import Note
from pyronym.settings import Settings
from pyronym.uri import URI

PROBES_AT_ONCE: Final = 64
"""Daemons that are asked at a time. The rest waits: a thousand that do not answer keep a round for 80 s."""

SLICE: Final = 200
"""Records that are looked at before others have their turn: half a millisecond."""

RESOLVERS: Final = 4
"""Threads that ask for the addresses of hosts."""

log = logging.getLogger(__name__)


class Probing:
    """Watches over the objects of all records of `service`. `all_from_here`, `grace`: see Liveness.

    `readers` read large answers. `offences` counts URIs that lead nowhere. `remove` is given those whose records have
    to go. `witness` and `state_of` are what HostedNameServer and NameService want.
    """

    def __init__(
        self,
        service: NameService,
        settings: Settings,
        readers: Workers,
        offences: Offences,
        remove: Callable[[Sequence[Suspect]], object],
        *,
        all_from_here: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service
        self._interval = settings.ns_autoclean
        self._remove = remove
        self._all_from_here = all_from_here
        self._clock = clock
        self._liveness = Liveness(settings.ns_autoclean_grace, all_from_here=all_from_here)
        self._offences = offences
        self._resolvers = Workers(RESOLVERS)
        self._prober = Prober(settings, self._resolvers, readers)

    def close(self) -> None:
        """Give the threads back."""
        self._resolvers.close()

    def state_of(self, record: Record) -> State:
        """How the object of a record is."""
        return self._liveness.state_of(record, self._clock())

    def witness(self, peer: Peer) -> Note | None:
        """What takes down the registrations of a client, where it matters whether they come from this machine."""
        if self._all_from_here:
            return None
        remote = peer.remote
        host = remote[0] if isinstance(remote, tuple) else None
        from_here = host is None or is_loopback(host) or (isinstance(peer.local, tuple) and host == peer.local[0])

        def note(changes: Sequence[Change], error: PyroError | None) -> None:
            for name, record in changes:
                if record is None or error is not None:
                    continue
                if not self._liveness.note_registration(record, from_here=from_here):
                    continue
                if self._offences.note(Offence.LOOPBACK_URI, str(host), self._clock()):
                    fields = {"client": host, "name": name, "uri": record.uri}
                    words = "client %s registers %r as %s, where nobody else can reach it"
                    log.warning(words, *fields.values(), extra={"fields": fields})

        return note

    async def run(self) -> None:
        """Make a round of probes, again and again, with a pause before each."""
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.round()
            except Exception:
                log.exception("a round of probes failed; the next one follows in %g s", self._interval)

    async def round(self) -> None:
        """Probe each daemon once, and have removed what is due."""
        log.debug("a round of probes begins")
        targets = iter((await self._targets()).values())
        async with asyncio.TaskGroup() as group:
            for _ in range(PROBES_AT_ONCE):
                group.create_task(self._probe_each(targets))
        self._liveness.end_round()
        self._liveness.forget_others(self._service.__contains__)
        log.debug("a round of probes has ended")

    async def _targets(self) -> dict[str | None, tuple[URI, list[Expected]]]:
        targets: dict[str | None, tuple[URI, list[Expected]]] = {}
        for number, record in enumerate(self._service.everything()):
            if number % SLICE == 0:
                await asyncio.sleep(0)
            target = self._liveness.target(record)
            if target is not None:
                uri, object_id = target
                targets.setdefault(uri.location, (uri, []))[1].append(Expected(object_id, record))
        return targets

    async def _probe_each(self, targets: Iterator[tuple[URI, list[Expected]]]) -> None:
        for uri, expected in targets:
            finding = await self._prober.probe(uri)
            for start in range(0, len(expected), SLICE):
                due = self._liveness.judge(expected[start : start + SLICE], finding, self._clock())
                if due:
                    self._remove(due)
                await asyncio.sleep(0)
