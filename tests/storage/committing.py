"""Commits names without end, until it is killed: one line of output for each commit that is durable.

Arguments: the kind of storage and its file.
"""

import itertools
import sys

from pyronym.directory.record import Change, Record
from pyronym.storage import dbm
from pyronym.storage.sqlite import SqliteStore


def main(kind, file):
    dbm._MIN_JOURNAL = 5  # so that many kills come while the dbm is being written
    store = SqliteStore(file) if kind == "sql" else dbm.DbmStore(file)
    for i in itertools.count(len(store.load())):
        name = f"n{i}"
        changes = [Change(name, Record(name, f"PYRO:{i}@h:1", frozenset({"x"}))), Change(f"twin{i}", None)]
        changes.append(Change(f"twin{i}", Record(f"twin{i}", "PYRO:twin@h:1")))
        store.commit(changes)
        print(name, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
