"""Rounds of probes over the records of a service: whom they ask, what they remove, and what clients are warned of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from serving import serving

from processes import StockDaemons
from pyronym.directory.record import Change, Record
from pyronym.rpc.exposed import expose
from pyronym.rpc.hosting import Address, Peer
from pyronym.rpc.offences import Offence
from pyronym.server import probing
from pyronym.server.daemon import Daemon
from pyronym.server.limits import Offences
from pyronym.server.nameserver import NameServerDaemon
from pyronym.server.probing import PROBES_AT_ONCE, SLICE, Probing
from pyronym.server.workers import Workers
from pyronym.service.liveness import ALIVE, NOT_PROBED, UNKNOWN_OBJECT, UNREACHABLE, Alive, Finding
from pyronym.service.nameservice import NameService
from pyronym.settings import Settings
from pyronym.storage.mapping import MappingStore
from pyronym.storage.memory import MemoryStorage
from pyronym.uri import URI
from pyronym.wire.message import PYRO4

SETTINGS = Settings(ns_autoclean=3.0, ns_autoclean_grace=20.0, commtimeout=20.0)


class Rounds:
    """A name server's records, and rounds of probes over them at times that the test says."""

    def __init__(self, all_from_here: bool) -> None:
        self.now = 0.0
        self.removed: list[str] = []
        self.service = NameService(MappingStore(MemoryStorage()))
        self._readers = Workers(1)
        self.runner = asyncio.Runner()
        how: dict[str, Any] = {"all_from_here": all_from_here, "clock": lambda: self.now}
        self.offences = Offences()
        self.probing = Probing(self.service, SETTINGS, self._readers, self.offences, self._remove, **how)

    def _remove(self, suspects: Any) -> None:
        self.removed += [suspect.record.name for suspect in suspects]
        self.service.remove_unchanged([suspect.record for suspect in suspects])

    def add(self, name: str, uri: object) -> None:
        self.service.register(name, str(uri), frozenset())

    def round(self, now: float) -> dict[str, str]:
        """Make a round, and give the states that are left."""
        self.now = now
        self.runner.run(self.probing.round())
        return {record.name: self.probing.state_of(record).state for record in self.service.everything()}

    def close(self) -> None:
        self.runner.close()
        self.probing.close()
        self._readers.close()
        self.service.close()


@contextmanager
def rounds(all_from_here: bool = True) -> Iterator[Rounds]:
    made = Rounds(all_from_here)
    try:
        yield made
    finally:
        made.close()


def fake_probe(monkeypatch: pytest.MonkeyPatch, answer: Callable[[URI], Any]) -> list[str]:
    """Let daemons be what `answer` says of them; the locations that are probed."""
    asked: list[str] = []

    async def probe(prober: object, uri: URI) -> Finding:
        asked.append(str(uri.location))
        found: Finding = await answer(uri)
        return found

    monkeypatch.setattr(probing.Prober, "probe", probe)
    return asked


@expose
class Thing:
    pass


def test_names_of_what_is_gone_are_removed_and_others_are_not(
    stock4_daemon: StockDaemons, stock5_daemon: StockDaemons
) -> None:
    with rounds() as made, serving(Daemon("127.0.0.1")) as daemon:
        made.add("four", stock4_daemon()["echo"])
        made.add("five", stock5_daemon()["echo"])
        made.add("ours", daemon.register(Thing(), "thing"))
        made.add("never there", daemon.uriFor("never"))
        alive = {"four": ALIVE, "five": ALIVE, "ours": ALIVE}
        assert made.round(0) == {**alive, "never there": UNKNOWN_OBJECT}
        stock5_daemon.processes[0].kill()
        assert made.round(19) == {**alive, "five": UNREACHABLE, "never there": UNKNOWN_OBJECT}
        assert made.round(20) == {**alive, "five": UNREACHABLE}
        daemon.unregister("thing")
        assert made.round(39) == {"four": ALIVE, "ours": UNKNOWN_OBJECT}
        made.add("ours", daemon.register(Thing(), "thing"))
        assert made.round(59) == {"four": ALIVE, "ours": ALIVE}
        assert made.removed == ["never there", "five"]


def test_a_record_that_is_registered_again_during_the_probe_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    with rounds() as made:

        async def answer(uri: URI) -> Finding:
            if made.now == 20:
                made.add("a", "PYRO:a@10.0.0.7:1")
            return Alive(set())

        fake_probe(monkeypatch, answer)
        made.add("a", "PYRO:a@10.0.0.7:1")
        made.add("b", "PYRO:b@10.0.0.8:1")
        made.round(0)
        assert made.round(20) == {"a": NOT_PROBED}
        assert made.removed == ["a", "b"]


def test_each_daemon_is_probed_once_and_no_more_at_a_time_than_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    running = most = 0

    async def answer(uri: URI) -> Finding:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(10):
            await asyncio.sleep(0)
        running -= 1
        return Alive(None)

    asked = fake_probe(monkeypatch, answer)
    with rounds() as made:
        for number in range(1000):
            made.add(f"n{number}", f"PYRO:obj{number}@10.0.0.{number % 200}:5000")
        assert set(made.round(0).values()) == {ALIVE}
    assert len(asked) == len(set(asked)) == 200
    assert most == PROBES_AT_ONCE


def test_others_have_their_turn_during_a_round_over_many_names(monkeypatch: pytest.MonkeyPatch) -> None:
    names = 20 * SLICE

    async def answer(uri: URI) -> Finding:
        return Alive(None)

    async def main(made: Rounds) -> int:
        turns = 0
        task = asyncio.create_task(made.probing.round())
        while not task.done():
            await asyncio.sleep(0)
            turns += 1
        await task
        return turns

    fake_probe(monkeypatch, answer)
    with rounds() as made:
        for number in range(names):
            made.add(f"n{number}", f"PYRO:obj{number}@10.0.0.7:5000")
        assert asyncio.run(main(made)) > 2 * names / SLICE


@pytest.mark.parametrize(
    ("local", "remote", "from_here"),
    [
        (("127.0.0.1", 9090), ("127.0.0.1", 5), True),
        (("10.0.0.1", 9090), ("10.0.0.1", 5), True),
        (("10.0.0.1", 9090), ("10.0.0.2", 5), False),
        (("fd00::1", 9090), ("fd00::2", 5), False),
        ("/run/socket", None, True),
    ],
)
def test_near_uris_are_probed_only_when_a_client_here_registers_them(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    local: Address,
    remote: Address,
    from_here: bool,
) -> None:
    async def answer(uri: URI) -> Finding:
        return Alive(None)

    fake_probe(monkeypatch, answer)
    with rounds(all_from_here=False) as made:
        note = made.probing.witness(Peer(PYRO4, local, remote))
        assert note is not None
        for name in ("a", "b"):
            made.add(name, "PYRO:obj@localhost:5000")
            note([Change(name, made.service.get(name)), Change("gone", None)], None)
        assert made.round(0) == dict.fromkeys("ab", ALIVE if from_here else NOT_PROBED)
        warnings = [record.getMessage() for record in caplog.records]
        told = [] if from_here else [f"client {remote[0]} registers 'a' as PYRO:obj@localhost:5000"]
        assert [line.partition(", where nobody else can reach it")[0] for line in warnings] == told
        made.now = 60.0
        note([Change("a", made.service.get("a"))], None)
        assert len(caplog.records) == 2 * len(told)
        assert made.offences.counts[Offence.LOOPBACK_URI] == 3 * len(told)


def test_where_nobody_else_can_connect_nobody_is_watched() -> None:
    with rounds() as made:
        assert made.probing.witness(Peer(PYRO4, ("127.0.0.1", 1), ("127.0.0.1", 2))) is None


def test_a_round_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    made_rounds = 0

    async def fail(made: Probing) -> None:
        nonlocal made_rounds
        made_rounds += 1
        if made_rounds == 2:
            raise asyncio.CancelledError
        raise RuntimeError("no luck")

    monkeypatch.setattr(Probing, "round", fail)
    with rounds() as made:
        made.probing._interval = 0
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(made.probing.run())
    assert "a round of probes failed" in caplog.text


def test_a_daemon_without_probing_watches_nobody_and_says_so() -> None:
    with NameServerDaemon("127.0.0.1", 0) as daemon:
        assert daemon._hosted._guard(Peer(PYRO4, ("127.0.0.1", 1), ("127.0.0.1", 2))) is None
        assert daemon.nameserver.service.state_of(Record("a", "PYRO:a@h:1")).state == NOT_PROBED
