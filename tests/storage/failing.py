"""Commits on a disk (disks.py) of which one kind of operation fails now and then, and compares what is there with what
was acknowledged. A storage that cannot be closed is left open, as if it had been killed.

Arguments: the kind of storage, its file, the file of the faults, and the operation.
"""

import os
import random
import sys
from contextlib import suppress
from pathlib import Path

from generated import apply_to, stored
from writing import changes_of, open_store

from pyronym.errors import StorageError

ROUNDS = 150


def main(kind, file, faults, operation):
    faults = Path(faults)
    chance = random.Random(f"{kind} {operation}")
    expected = {}
    failed = 0
    store = open_store(kind, file)
    refused = []
    for number in range(ROUNDS):
        if chance.random() < 0.3:
            faults.write_text(f"{operation} {chance.choice([5, 28])}\n")
        changes = changes_of(kind, number)
        try:
            store.commit(changes)
        except StorageError:
            failed += 1
            refused = changes
        else:
            apply_to(expected, changes)
            refused = []
        reopen = chance.random() < 0.1
        if reopen:
            try:
                store.close()
            except StorageError as problem:  # it may say that a change which it could not make may come back
                could_not_bury = "may bring back" in str(problem)
            else:
                could_not_bury = False
        with suppress(FileNotFoundError):
            os.unlink(faults)
        if reopen:
            store = open_store(kind, file)
            if could_not_bury and stored(store) != expected:
                apply_to(expected, refused)
            assert stored(store) == expected, f"after commit {number}"
    print(f"{failed} failed" if failed else "all went well")


if __name__ == "__main__":
    main(*sys.argv[1:])
