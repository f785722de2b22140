"""A program written for Pyro4. Only its import line says pyronym.

It hosts an object, registers it in the name server that is running, calls it, and removes it.
"""

import threading

import pyronym as Pyro4


@Pyro4.expose
class Thermometer:
    def __init__(self) -> None:
        self._offset = 0.0

    def read(self) -> float:
        return 21.5 + self._offset

    @property
    def offset(self) -> float:
        return self._offset

    @offset.setter
    def offset(self, value: float) -> None:
        self._offset = value

    @Pyro4.oneway
    def blink(self) -> None:
        pass

    async def settled(self) -> bool:
        """Not in Pyro4: methods may be coroutines."""
        return True


def main() -> None:
    with Pyro4.Daemon() as daemon, Pyro4.locateNS() as nameserver:
        uri = daemon.register(Thermometer())
        nameserver.register("lab.thermometer", uri, metadata={"thermometer", "room:12"})
        threading.Thread(target=daemon.requestLoop, daemon=True).start()
        with Pyro4.Proxy("PYRONAME:lab.thermometer") as thermometer:
            print("it is", thermometer.read())
            thermometer.offset = 0.5
            print("it is", thermometer.read(), "with an offset of", thermometer.offset)
            thermometer.blink()
            batch = Pyro4.batch(thermometer)
            batch.read()
            batch.settled()
            print("in one message:", list(batch()))
            try:
                thermometer.explode()
            except AttributeError as error:
                print("no:", error)
        nameserver.remove("lab.thermometer")
        daemon.shutdown()


if __name__ == "__main__":
    main()
