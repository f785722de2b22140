"""A name server that runs in a thread of the program that uses it."""

import threading

import pyronym


def main() -> None:
    uri, daemon, _responder = pyronym.startNS(host="127.0.0.1", port=0)
    server = threading.Thread(target=daemon.requestLoop)
    server.start()
    with pyronym.locateNS(uri.host, uri.port) as nameserver:
        nameserver.register("lab.camera", "PYRO:camera@localhost:4444", metadata=["camera"])
        print("registered:", sorted(nameserver.list()))
    # The program itself may use the name server object, without a connection.
    print("with the tag camera:", sorted(daemon.nameserver.list(metadata_all=["camera"])))
    daemon.shutdown()
    server.join()


if __name__ == "__main__":
    main()
