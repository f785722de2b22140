"""A name server served from a hand-written select loop, beside the program's own sockets.

Run it: it makes a name server, asks it a few things from a thread, and ends.
"""

import select
import threading

import pyronym


def ask(uri: pyronym.URI) -> None:
    with pyronym.Proxy(uri) as nameserver:
        nameserver.register("lab.camera", "PYRO:camera@localhost:4444")
        print("registered:", sorted(nameserver.list()))


def main() -> None:
    uri, daemon, _responder = pyronym.startNS(host="127.0.0.1", port=0)
    client = threading.Thread(target=ask, args=(uri,))
    client.start()
    while client.is_alive():
        ready, _, _ = select.select(daemon.sockets, [], [], 0.1)
        if ready:
            daemon.events(ready)
    daemon.close()


if __name__ == "__main__":
    main()
