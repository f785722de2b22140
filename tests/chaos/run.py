"""One run: clients use a cluster, faults come and go, and what the clients saw is checked."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from chaos.availability import Wait, longest
from chaos.checker import violations
from chaos.faults import Fault, Kind, fault, kinds, limits
from chaos.history import History, Operation, Outcome
from chaos.load import HELD, Client, Keeper, Reader, Watcher, Writer, operations_of, stock_client
from chaos.stage import Stage, standing
from etcd_cluster import wait_until
from stock import PYRO4

MOST_SECONDS = {"reads": 1.0, "writes": 5.0}
"""That a client may have to wait for, when one thing goes wrong."""
CATCH_UP_SECONDS = 20.0
BEFORE_SECONDS = 10.0
"""Before a fault. What clients did earlier has nothing to do with it."""


class Seen(NamedTuple):
    """A fault: when it began, how many seconds it lasted, how many more it took until all were well again, and how
    long clients had to wait at most.
    """

    words: str
    began: float
    lasted: float
    recovery: float
    waits: dict[str, Wait | None]


@dataclass
class Report:
    """What came of it. `problems`: all that must not be."""

    history: History = field(default_factory=History)
    seen: list[Seen] = field(default_factory=list)
    storms: int = 0
    resets: int = 0
    problems: list[str] = field(default_factory=list)


class Run:
    """Everything that a run needs while it lasts. `hold`: seconds that a fault lasts."""

    def __init__(self, stage: Stage, seed: int, hold: float) -> None:
        self.stage = stage
        self.report = Report()
        self._hold = hold
        self._chance = random.Random(seed)
        self._over, self._all_over = threading.Event(), threading.Event()
        history, places = self.report.history, stage.locations
        self.watchers = [
            Watcher(f"watcher{n}", places, history, self._all_over, seed, prefix=prefix)
            for n, prefix in enumerate(("", "", "safe.", HELD))
        ]
        kinds_of_clients = {"reader": Reader, "writer": Writer, "keeper": Keeper}
        self.clients: list[Client] = [
            make(f"{name}{n}", places, history, self._over, seed)
            for name, make in kinds_of_clients.items()
            for n in range(3)
        ]
        self.stock = stock_client(PYRO4.ensure(), places[0], seed)

    def start(self) -> None:
        for client in [*self.watchers, *self.clients]:
            client.start()
        wait_until(lambda: all(w.revision for w in self.watchers) and self._all_have_acted(), "all clients are at work")

    def _all_have_acted(self) -> bool:
        acted = {op.client for op in list(self.report.history.operations)}
        return acted >= {client.name for client in self.clients}

    def _all_answered(self, since: float) -> bool:
        """Whether there was an answer for each reader and each writer to what was asked for after this time."""
        answers = [op for op in self._latest(since) if op.invoked > since and op.outcome is Outcome.OK]
        answered = {op.client for op in answers if op.needs_etcd or op.kind in ("lookup", "list")}
        return answered >= {client.name for client in self.clients if not isinstance(client, Keeper)}

    def _latest(self, since: float) -> Iterator[Operation]:
        """What was answered after this time, the latest first."""
        return takewhile(lambda op: op.returned > since, reversed(self.report.history.operations))

    def one_by_one(self, wanted: Iterable[Kind], until: float) -> None:
        """Faults of these kinds, one after the other, with all well between them."""
        for kind in wanted:
            if time.monotonic() > until:
                return
            fault_ = fault(self.stage, kind, self._chance)
            began = time.monotonic()
            fault_.begin(self.stage)
            self._over.wait(self._hold)
            ended = time.monotonic()
            fault_.end(self.stage)
            self._recovered(fault_.words)
            recovered = time.monotonic()
            wait_until(lambda since=recovered: self._all_answered(since), "all clients are answered again")
            seen = Seen(fault_.words, began, ended - began, recovered - ended, self._waits(began, recovered))
            self.report.seen.append(seen)
            print(row(seen), flush=True)

    def storm(self, until: float) -> None:
        """Several faults at once, again and again."""
        while time.monotonic() < until:
            chosen: list[Fault] = []
            for kind in self._chance.sample(kinds(self.stage), self._chance.randint(2, 4)):
                another = fault(self.stage, kind, self._chance)
                if another.victim not in [one.victim for one in chosen]:
                    chosen.append(another)
            for one in chosen:
                one.begin(self.stage)
                self._over.wait(self._chance.random() * self._hold / 2)
            self._over.wait(self._chance.random() * 2 * self._hold)
            for one in chosen:
                one.end(self.stage)
                self._over.wait(self._chance.random() * self._hold / 2)
            words = "; ".join(one.words for one in chosen)
            self._recovered(words)
            self.report.storms += 1
            print(f"at once: {words}", flush=True)

    def finish(self, calm_until: float) -> None:
        """Have all clients end, and look at what they have seen."""
        self._over.set()
        history = self.report.history
        for client in self.clients:
            client.join(10)
        if status := self.stock.terminate():
            self.report.problems.append(f"ENDED: the stock client, with {status}:\n{self.stock.output[-2000:]}")
        history.operations += operations_of(self.stock, self.stage.locations[0])
        self.stage.nodes[0].ask("remove", prefix=HELD)  # before their leases end, while the others are looked at
        self._look_at_the_end()
        self._all_over.set()
        for watcher in self.watchers:
            watcher.join(10)
        self.report.resets = sum(watcher.resets for watcher in self.watchers)
        self.report.problems += [
            f"ENDED: {client.name}: {client.problem!r}" for client in [*self.clients, *self.watchers] if client.problem
        ]
        self.report.problems += violations(history, calm_until)

    def _all_told(self, revision: int) -> bool:
        return all(watcher.revision >= revision for watcher in self.watchers)

    def _look_at_the_end(self) -> None:
        """Look at what etcd and the nodes have. A change that nobody waits for any more may still come to etcd from a
        line that was mended: then again.
        """
        history, commits = self.report.history, list(self.stage.commits())
        while commits != history.commits:
            history.commits, last = commits, commits[-1].revision
            with suppress(AssertionError):  # then the checker says so
                wait_until(lambda since=last: self._all_told(since), "watchers are told", CATCH_UP_SECONDS)
            for node in self.stage.nodes:
                names = wait_until(lambda n=node: n.ask("list"), f"{node.name} lists all")
                history.ends[node.location] = {n: uri for n, uri in names.items() if not n.startswith("Pyro.")}
            commits = list(self.stage.commits())

    def _recovered(self, words: str) -> None:
        try:
            self.stage.recovered()
        except AssertionError as problem:
            said = "".join(f"\n\n{node.name}:\n{node.output}" for node in self.stage.nodes)
            raise AssertionError(f"after {words}: {problem}{said}") from problem

    def _waits(self, began: float, ended: float) -> dict[str, Wait | None]:
        operations = list(self._latest(began - BEFORE_SECONDS))
        return {
            "reads": longest((op for op in operations if op.client.startswith("reader")), began, ended),
            "writes": longest((op for op in operations if op.needs_etcd), began, ended),
        }


def delays(seen: Iterable[Seen]) -> Iterator[str]:
    """Which of these were longer than promised."""
    for one in seen:
        for what, wait in one.waits.items():
            if wait is None:
                yield f"NOBODY ASKED: {one.words}: there were no {what}"
            elif wait.seconds > MOST_SECONDS[what]:
                yield (
                    f"AWAY TOO LONG: {one.words}: {wait.client} waited {wait.seconds:.2f} s for {what} (expected: at "
                    f"most {MOST_SECONDS[what]:g}), from {wait.began - one.began:+.2f} s of the fault on"
                )


def row(seen: Seen) -> str:
    """What is shown of a fault."""
    waits = "".join(f"{wait.seconds if wait else 0:8.2f}" for wait in seen.waits.values())
    return f"{seen.words:40}{seen.lasted:8.1f}{seen.recovery:10.1f}{waits}"


HEADING = f"{'':40}{'lasted':>8}{'recovery':>10}{'reads':>8}{'writes':>8}  [s]"


def run(folder: Path, seed: int, *, singles: float, storms: float, hold: float, wanted: Sequence[Kind] = ()) -> Report:
    """Faults one by one for about `singles` seconds, then several at once for `storms`. `wanted`: these kinds, as far
    as they can be done here, once each, instead of all again and again; `hold`: seconds that each lasts.
    """
    with ExitStack() as running:
        stage = running.enter_context(standing(folder))
        acting = Run(stage, seed, hold)
        running.callback(acting.stock.close)
        for limit in limits(stage):
            print(limit)
        acting.start()
        print(HEADING, flush=True)
        possible = kinds(stage)
        once = [kind for kind in wanted if kind in possible]
        acting.one_by_one(once or _again_and_again(possible, random.Random(seed)), time.monotonic() + singles)
        calm_until = time.monotonic()
        acting.storm(calm_until + storms)
        acting.finish(calm_until)
        return acting.report


def _again_and_again(possible: Sequence[Kind], chance: random.Random) -> Iterator[Kind]:
    """Each before any comes again."""
    while True:
        yield from chance.sample(possible, len(possible))
