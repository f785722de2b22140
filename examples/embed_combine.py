"""One process, one loop: a name server combined into the daemon that hosts the program's own objects."""

import threading

import pyronym


@pyronym.expose
class Camera:
    def take(self) -> str:
        return "picture"


def use(nameserver_uri: pyronym.URI, daemon: pyronym.Daemon) -> None:
    with pyronym.Proxy(f"PYRONAME:lab.camera@{nameserver_uri.location}") as camera:
        print("took a", camera.take())
    daemon.shutdown()


def main() -> None:
    nameserver_uri, nameserver_daemon, _responder = pyronym.startNS(host="127.0.0.1", port=0)
    daemon = pyronym.Daemon(host="127.0.0.1")
    nameserver_daemon.nameserver.register("lab.camera", daemon.register(Camera()))
    daemon.combine(nameserver_daemon)
    client = threading.Thread(target=use, args=(nameserver_uri, daemon))
    client.start()
    daemon.requestLoop()
    client.join()
    nameserver_daemon.close()


if __name__ == "__main__":
    main()
