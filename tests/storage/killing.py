"""Rounds of kill -9: a program commits until it is killed, and what it said is compared with what its file has.

A program is opened, killed and looked at again on one file, so that each round also starts from what the last one left.
"""

from __future__ import annotations

import itertools
import queue
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from generated import stored

from processes import PYRONYM, NameServers, stopping
from pyronym.client.proxy import Proxy
from pyronym.errors import CommunicationError
from pyronym.storage.dbm import DbmStore
from pyronym.storage.sqlite import SqliteStore

STORES = {"sql": SqliteStore, "dbm": DbmStore}
COMMITTING = Path(__file__).parent / "committing.py"
CLIENTS = 64


@dataclass
class Figures:
    """What some rounds saw."""

    rounds: int = 0
    acknowledged: int = 0

    def __str__(self) -> str:
        return f"{self.rounds} kills, {self.acknowledged:,} acknowledged, lost: 0"


def kill_a_committing_program(kind: str, file: Path, rounds: int, chance: random.Random) -> Figures:
    """One writer with commits of several changes each. AssertionError when one is lost or half there."""
    figures = Figures()
    acknowledged: set[str] = set()
    for _ in range(rounds):
        acknowledged |= set(_lines_until_killed([COMMITTING, kind, file], chance.randrange(1, 40)))
        with closing(STORES[kind](file)) as opened:
            records = stored(opened)
        assert acknowledged <= records.keys()
        names = {name for name in records if name.startswith("n")}
        assert {f"twin{name[1:]}" for name in names} == records.keys() - names
        figures.rounds += 1
        assert len(names) <= len(acknowledged) + figures.rounds  # at most one that was on its way, each time
        assert all(records[name].metadata == {"x"} for name in names)
    figures.acknowledged = len(acknowledged)
    return figures


def kill_a_server_with_64_clients(kind: str, file: Path, rounds: int, chance: random.Random) -> Figures:
    """``pyronym serve`` under load. AssertionError when it does not start again as it is, or a client's last
    acknowledged change is lost.
    """
    figures = Figures()
    servers = NameServers([PYRONYM, "serve"])
    allowed: dict[int, list[object]] = {number: [None] for number in range(CLIENTS)}
    with stopping(servers.processes):
        while True:
            server = servers(storage=f"{kind}:{file}")
            with Proxy(server.uri) as proxy:
                listed = proxy.list(prefix="client", return_metadata=True)
            found = {name: (uri, list(tags)) for name, (uri, tags) in listed.items()}
            states = {number: found.get(f"client{number}") for number in range(CLIENTS)}
            for number, state in states.items():
                assert state in allowed[number], f"client {number} has {state} instead of one of {allowed[number]}"
            if figures.rounds == rounds:
                return figures
            acknowledged: queue.SimpleQueue[int] = queue.SimpleQueue()
            first = figures.rounds * 100_000
            clients = [_Client(server.uri, number, first, acknowledged) for number in range(CLIENTS)]
            for _ in range(chance.randrange(1, 1000)):  # they keep on while we count
                acknowledged.get(timeout=20)
                figures.acknowledged += 1
            server.process.kill()
            for client in clients:
                client.join(20)
                before = states[client.number] if client.last is None else _state_after(client.last)
                allowed[client.number] = [before, _state_after(first if client.last is None else client.last + 1)]
            figures.acknowledged += acknowledged.qsize()
            figures.rounds += 1


class _Client(threading.Thread):
    """Changes its name again and again until the server is gone: removes it in every fourth turn, else registers it."""

    def __init__(self, uri: str, number: int, first: int, acknowledged: queue.SimpleQueue[int]) -> None:
        super().__init__(daemon=True)
        self.number = number
        self.last: int | None = None
        """The last turn that was acknowledged."""
        self._uri = uri
        self._first = first
        self._acknowledged = acknowledged
        self.start()

    def run(self) -> None:
        name = f"client{self.number}"
        with suppress(CommunicationError), Proxy(self._uri, protocol=4 + self.number % 2) as proxy:
            for turn in itertools.count(self._first):
                state = _state_after(turn)
                if state is None:
                    proxy.remove(name)
                else:
                    proxy.register(name, state[0], metadata=state[1])
                self.last = turn
                self._acknowledged.put(turn)


def _lines_until_killed(command: list[object], lines: int) -> Iterator[str]:
    """The whole lines that a program writes until it is killed, which is some time after that many lines."""
    process = subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        for _ in range(lines):  # it keeps on committing while we count
            line = process.stdout.readline()
            assert line, "the program ended by itself"
            yield line.strip()
        process.kill()
        yield from (line.strip() for line in process.stdout if line.endswith("\n"))


def _state_after(turn: int) -> tuple[str, list[str]] | None:
    """The URI and the tags."""
    return None if turn % 4 == 3 else (f"PYRO:turn{turn}@h:1", [f"turn{turn}"])
