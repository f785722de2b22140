"""Changes names on behalf of 64 clients at once, through a NameService, until it is killed.

Arguments: the kind of storage, its file, and the first turn. One line of output for each change that is acknowledged:
``client turn``. In every fourth turn the client's name is removed, in the others it is registered.
"""

import os
import queue
import sys

from pyronym.service.nameservice import NameService
from pyronym.storage import dbm
from pyronym.storage.choose import storage_by_name

CLIENTS = 64


def main(kind, file, first):
    dbm._MIN_JOURNAL = 500  # so that some kills come while the dbm is being written
    service = NameService(storage_by_name(f"{kind}:{file}"))
    acknowledged = queue.SimpleQueue()

    def change(client, turn):
        name = f"client{client}"
        if turn % 4 == 3:
            outcome = service.remove([name])
        else:
            outcome = service.register(name, f"PYRO:turn{turn}@h:1", frozenset({f"turn{turn}"}))
        outcome.add_done_callback(lambda done: acknowledged.put((client, turn, done)))

    for client in range(CLIENTS):
        change(client, int(first))
    while True:
        client, turn, done = acknowledged.get()
        done.result()
        os.write(1, f"{client} {turn}\n".encode())
        change(client, turn + 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
