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
