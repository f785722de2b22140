"""Rounds of kill -9: a program commits until it is killed, and what it said is compared with what its file has.

A program is opened, killed and looked at again on one file, so that each round also starts from what the last one left.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from generated import stored

from pyronym.storage.dbm import DbmStore
from pyronym.storage.sqlite import SqliteStore

STORES = {"sql": SqliteStore, "dbm": DbmStore}
COMMITTING = Path(__file__).parent / "committing.py"
SERVING = COMMITTING.with_name("serving_many.py")


@dataclass
class Figures:
    """What some rounds saw."""

    rounds: int = 0
    acknowledged: int = 0


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


def kill_a_program_with_64_clients(kind: str, file: Path, rounds: int, chance: random.Random) -> Figures:
    """A name service under load. AssertionError when a client's last acknowledged change is lost."""
    figures = Figures()
    last: dict[int, int] = {}  # client: the last turn that was acknowledged
    for first in range(0, rounds * 100_000, 100_000):
        for line in _lines_until_killed([SERVING, kind, file, first], chance.randrange(1, 2000)):
            client, turn = map(int, line.split())
            last[client] = turn
            figures.acknowledged += 1
        with closing(STORES[kind](file)) as opened:
            records = stored(opened)
        for client, turn in last.items():
            on_its_way = {turn + 1, max(turn + 1, first)}  # of the last round, and of this one
            states = [_state_after(turn), *map(_state_after, on_its_way)]
            record = records.get(f"client{client}")
            assert (record and (record.uri, record.metadata)) in states, f"client {client} after turn {turn}: {record}"
        figures.rounds += 1
    return figures


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


def _state_after(turn: int) -> tuple[str, set[str]] | None:
    return None if turn % 4 == 3 else (f"PYRO:turn{turn}@h:1", {f"turn{turn}"})
