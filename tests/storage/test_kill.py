"""What was acknowledged survives kill -9 at any moment."""

import random
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from generated import stored

from pyronym.storage.dbm import DbmStore
from pyronym.storage.sqlite import SqliteStore

PROGRAM = Path(__file__).parent / "committing.py"
SERVING = PROGRAM.with_name("serving_many.py")
ROUNDS = 6


@pytest.mark.parametrize(("kind", "store"), [("sql", SqliteStore), ("dbm", DbmStore)])
def test_kill_9_loses_no_acknowledged_commit_and_leaves_none_half_done(kind, store, tmp_path):
    file = tmp_path / "names"
    acknowledged = set()
    chance = random.Random(kind)
    for _ in range(ROUNDS):
        process = subprocess.Popen([sys.executable, PROGRAM, kind, file], stdout=subprocess.PIPE, text=True)
        with process:
            for _ in range(chance.randrange(1, 40)):  # it keeps on committing while we count
                line = process.stdout.readline()
                assert line, "the program ended by itself"
                acknowledged.add(line.strip())
            process.kill()
            acknowledged |= {line.strip() for line in process.stdout if line.endswith("\n")}
        with closing(store(file)) as opened:
            records = stored(opened)
        assert acknowledged <= records.keys()
        names = {name for name in records if name.startswith("n")}
        assert {f"twin{name[1:]}" for name in names} == records.keys() - names
        assert len(names) <= len(acknowledged) + ROUNDS  # at most one that was on its way, each time
        assert all(records[name].metadata == {"x"} for name in names)


@pytest.mark.parametrize(("kind", "store"), [("sql", SqliteStore), ("dbm", DbmStore)])
def test_kill_9_under_the_load_of_64_clients_loses_no_acknowledged_change(kind, store, tmp_path):
    file = tmp_path / "names"
    last = {}  # client: the last turn that was acknowledged
    chance = random.Random(kind)
    for first in range(0, ROUNDS * 100_000, 100_000):
        process = subprocess.Popen([sys.executable, SERVING, kind, file, str(first)], stdout=subprocess.PIPE, text=True)
        with process:
            for _ in range(chance.randrange(1, 2000)):
                line = process.stdout.readline()
                assert line, "the program ended by itself"
                take_note(line, last)
            process.kill()
            for line in process.stdout:
                if line.endswith("\n"):
                    take_note(line, last)
        with closing(store(file)) as opened:
            records = stored(opened)
        for client, turn in last.items():
            on_its_way = {turn + 1, max(turn + 1, first)}  # of the last round, and of this one
            states = [state_after(turn), *map(state_after, on_its_way)]
            record = records.get(f"client{client}")
            assert (record and (record.uri, record.metadata)) in states


def take_note(line, last):
    client, turn = map(int, line.split())
    last[client] = turn


def state_after(turn):
    return None if turn % 4 == 3 else (f"PYRO:turn{turn}@h:1", {f"turn{turn}"})
