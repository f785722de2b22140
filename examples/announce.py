"""A program whose name takes care of itself: it comes back when it is lost, and goes when the program does."""

import threading

import pyronym as Pyro4


@Pyro4.expose
class Thermometer:
    def read(self) -> float:
        return 21.5


def main() -> None:
    is_back = threading.Event()

    def notify(notice: Pyro4.Notice) -> None:
        print(notice.kind, notice.name, flush=True)
        if notice.kind == Pyro4.NoticeKind.REGISTERED_AGAIN:
            is_back.set()

    with Pyro4.Daemon() as daemon:
        announcement = daemon.announce(Thermometer(), "lab.thermometer", lease=1.5, notify=notify)
        threading.Thread(target=daemon.requestLoop, daemon=True).start()
        with Pyro4.locateNS() as nameserver:
            nameserver.remove("lab.thermometer")  # as if it had been restarted, and had forgotten everything
        is_back.wait()
        with Pyro4.Proxy("PYRONAME:lab.thermometer") as thermometer:
            print("it is", thermometer.read(), flush=True)
        announcement.close()  # the end of the program would do as well


if __name__ == "__main__":
    main()
