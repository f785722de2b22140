"""Commits what a seed says, and says the number of each commit that is durable.

Arguments: the kind of storage, its file, the seed, the first number, and the number to stop before.
"""

import os
import random
import sys

from generated import put

from pyronym.directory.record import Change
from pyronym.storage import dbm
from pyronym.storage.sqlite import SqliteStore

NAMES = 12
REOPEN = 25
"""After so many commits the storage is closed and opened again."""


def changes_of(seed, number):
    """The changes of one commit: few names again and again, of all sizes, and one that tells which commit it was."""
    chance = random.Random(f"{seed} {number}")
    changes = [put("last", f"PYRO:{number}@h:1", [f"commit{number}"])]
    for _ in range(chance.randrange(1, 5)):
        name = f"name{chance.randrange(NAMES)}"
        if chance.random() < 0.25:
            changes.append(Change(name, None))
        else:
            size = chance.choice([1, 10, 300, 3000])
            changes.append(put(name, "PYRO:" + f"{number}." * size, [f"tag{chance.randrange(5)}"]))
    return changes


def open_store(kind, file):
    if kind == "sql":
        store = SqliteStore(file, alone=True)
        store._db.execute("PRAGMA wal_autocheckpoint = 15")  # pages: so that many cuts come in the midst of one
        return store
    dbm._MIN_JOURNAL = 10  # so that many cuts come while the dbm is being written
    return dbm.DbmStore(file)


def main(kind, file, seed, first, stop):
    store = open_store(kind, file)
    for number in range(int(first), int(stop)):
        store.commit(changes_of(seed, number))
        os.write(1, b"%d\n" % number)
        if number % REOPEN == REOPEN - 1:
            store.close()
            store = open_store(kind, file)
    if random.Random(f"{seed} end").random() < 0.5:
        store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
